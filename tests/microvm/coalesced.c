/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes that wait: what an interrupt has done of them, and what it leaves for the next exit. The
 * ring is as KVM fills it; tests/microvm/bare.c has a real one.
 */
#include "microvm/guest/protocol.h"
#include "microvm/vm.h"
#include "tests/base/unit.h"

#define PAGE 4096u

static _Alignas(4096) uint8_t shared[3 * PAGE];
static struct kvm_coalesced_mmio_ring *const ring = (void *)(shared + 2 * PAGE);

static void machine_init(struct vm *v)
{
	static struct vcpu vcpu;

	*v = (struct vm){ .fd = -1, .run_size = sizeof(shared), .vcpus = &vcpu, .nvcpus = 1 };
	memset(shared, 0, sizeof(shared));
	v->vcpus[0].run = (struct kvm_run *)shared;
	v->coalesced = (struct coalesced){ .vm_fd = -1, .ioapic = true };
	pthread_mutex_init(&v->coalesced.turn, NULL);
	pthread_mutex_init(&v->coalesced.lock, NULL);
	ioapic_init(&v->ioapic, -1, 4);
}

static void guest_writes(uint64_t at, uint32_t value, bool port)
{
	struct kvm_coalesced_mmio *m = &ring->coalesced_mmio[ring->last];

	*m = (struct kvm_coalesced_mmio){ .phys_addr = at, .len = port ? 1 : 4, .pio = port };
	memcpy(m->data, &value, sizeof(value));
	ring->last = (ring->last + 1) % ((PAGE - sizeof(*ring)) / sizeof(*m));
}

static void guest_writes_entry(uint32_t reg, uint32_t value)
{
	guest_writes(VM_IOAPIC_GPA, reg, false);
	guest_writes(VM_IOAPIC_GPA + 0x10, value, false);
}

/* The entry that was written is the one that counts, and nothing else is done early, or twice. */
static void interrupt_first(_unused_ void **state)
{
	static struct vm v;

	machine_init(&v);
	ring->first = ring->last = 166; /* of 170: it wraps */
	guest_writes(GUEST_IO_MARK, 3, true);
	guest_writes_entry(0x13, 0x01000000);
	guest_writes_entry(0x12, 0x41);
	guest_writes(GUEST_IO_MARK, 4, true);
	coalesced_ioapic(&v);
	assert_true(v.ioapic.entries[1] == UINT64_C(0x0100000000000041));
	assert_int_equal(v.stats.marks[3], 0);
	assert_true(ioapic_raise(&v.ioapic, 1));
	assert_false(ioapic_raise(&v.ioapic, 2));
	v.ioapic.entries[1] = 7;
	coalesced_drain(&v);
	assert_true(v.ioapic.entries[1] == 7);
	assert_true(v.stats.marks[3] && v.stats.marks[4]);
	assert_int_equal(ring->first, ring->last);
	coalesced_ioapic(&v);
}

/* An interrupt that came while the pin was masked is not left to wait with what unmasks it. */
static void masked(_unused_ void **state)
{
	static struct vm v;

	machine_init(&v);
	assert_false(ioapic_raise(&v.ioapic, 2));
	assert_true(v.ioapic.pending[2]);
	guest_writes_entry(0x14, 0x40);
	coalesced_end_ioapic(&v);
	assert_false(v.ioapic.pending[2]);
	assert_false(v.coalesced.ioapic);
	guest_writes_entry(0x14, 0x50);
	coalesced_ioapic(&v); /* no longer its to do */
	assert_true(v.ioapic.entries[2] == 0x40);
	coalesced_drain(&v);
	assert_true(v.ioapic.entries[2] == 0x50);
}

static void none(_unused_ void **state)
{
	static struct vm v;

	machine_init(&v);
	v.run_size = 2 * PAGE;
	guest_writes_entry(0x14, 0x40);
	coalesced_ioapic(&v);
	coalesced_drain(&v);
	assert_int_equal(ring->first, 0);
	v.run_size = sizeof(shared);
	v.vcpus[0].run = NULL;
	coalesced_drain(&v);
	ring->first = UINT32_MAX;
	v.vcpus[0].run = (struct kvm_run *)shared;
	coalesced_ioapic(&v);
	coalesced_drain(&v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(interrupt_first),
		cmocka_unit_test(masked),
		cmocka_unit_test(none),
	};

	return cmocka_run_group_tests_name("microvm/coalesced", tests, NULL, NULL);
}
