/* SPDX-License-Identifier: Apache-2.0 */
/* A machine saved and restored: docs/formats/snapshot.md. */
#include "base/err.h"
#include "base/mem.h"
#include "microvm/snapshot_machine.h"
#include <sys/ioctl.h>

struct snapshot_vm {
	uint64_t clock_ns; /* KVM_GET_CLOCK */
	uint32_t tsc_khz;  /* 0 = KVM does not say */
	uint32_t nvcpus, ndevices, reserved;
};

struct snapshot_ioapic {
	uint32_t npins, select, id, reserved;
	uint64_t entries[VM_GSI_ACPI + VM_DEVICES_MAX];
	uint8_t pending[VM_GSI_ACPI + VM_DEVICES_MAX];
};

/* A TSC that runs at another speed by more than this (1/4096) is another host's. */
#define TSC_TOLERANCE 4096u

/* ---- the machine as a whole ---- */

static uint32_t tsc_khz(const struct vm *v)
{
	int khz = ioctl(v->vcpus[0].fd, KVM_GET_TSC_KHZ, 0);

	return khz > 0 ? (uint32_t)khz : 0;
}

static int vm_save(const struct vm *v, struct snapshot_writer *w)
{
	struct snapshot_vm s = { .tsc_khz = tsc_khz(v),
				 .nvcpus = v->nvcpus,
				 .ndevices = v->ndevices };
	struct kvm_clock_data clock = { 0 };

	if (ioctl(v->fd, KVM_GET_CLOCK, &clock) < 0)
		return err_sys("snapshot: clock");
	s.clock_ns = clock.clock;
	snapshot_writer_add(w, SNAPSHOT_VM, 0, &s, sizeof(s));
	snapshot_writer_add(w, SNAPSHOT_CPUID, 0, v->cpuid->entries,
			    v->cpuid->nent * sizeof(v->cpuid->entries[0]));
	return 0;
}

static int vm_check(const struct vm *v, const struct snapshot_file *f, struct snapshot_vm *s)
{
	const size_t want = v->cpuid->nent * sizeof(v->cpuid->entries[0]);
	uint32_t khz = tsc_khz(v);
	size_t len = 0;
	const void *cpuid = snapshot_file_find(f, SNAPSHOT_CPUID, 0, &len);
	int r = snapshot_file_get(f, SNAPSHOT_VM, 0, s, sizeof(*s));

	if (r < 0)
		return r;
	if (s->nvcpus != v->nvcpus || s->ndevices != v->ndevices)
		return err(-ESTALE, "snapshot: of another machine");
	if (!cpuid || len != want || memcmp(cpuid, v->cpuid->entries, want) != 0)
		return err(-ESTALE, "snapshot: of another CPU");
	if (khz > s->tsc_khz + s->tsc_khz / TSC_TOLERANCE || s->tsc_khz > khz + khz / TSC_TOLERANCE)
		return err(-ESTALE, "snapshot: of a CPU of another speed");
	return 0;
}

static int clock_restore(const struct vm *v, const struct snapshot_vm *s)
{
	struct kvm_clock_data clock = { .clock = s->clock_ns };

	return ioctl(v->fd, KVM_SET_CLOCK, &clock) < 0 ? err_sys("snapshot: clock") : 0;
}

/* ---- the IOAPIC ---- */

static void ioapic_save(struct ioapic *a, struct snapshot_writer *w)
{
	struct snapshot_ioapic s = { .npins = a->npins, .select = a->select, .id = a->id };

	pthread_mutex_lock(&a->lock);
	memcpy(s.entries, a->entries, sizeof(s.entries));
	for (size_t i = 0; i < ARRAY_SIZE(s.pending); i++)
		s.pending[i] = a->pending[i];
	pthread_mutex_unlock(&a->lock);
	snapshot_writer_add(w, SNAPSHOT_IOAPIC, 0, &s, sizeof(s));
}

/* An entry may say anything, as when the guest writes it. */
static int ioapic_restore(struct ioapic *a, const struct snapshot_file *f)
{
	struct snapshot_ioapic s;
	int r = snapshot_file_get(f, SNAPSHOT_IOAPIC, 0, &s, sizeof(s));

	if (r < 0)
		return r;
	if (s.npins != a->npins)
		return err(-ESTALE, "snapshot: of another machine");
	a->select = s.select;
	a->id = s.id;
	memcpy(a->entries, s.entries, sizeof(s.entries));
	for (size_t i = 0; i < ARRAY_SIZE(s.pending); i++)
		a->pending[i] = s.pending[i] & 1;
	return 0;
}

/* ---- devices ---- */

/* Their threads end with it: nothing writes to memory any more. */
static int devices_save(const struct vm *v, struct snapshot_writer *w)
{
	for (unsigned i = 0; i < v->ndevices; i++) {
		_buf_done_ struct buf b = { 0 };
		int r = virtio_mmio_save(v->devices[i], &b);

		if (r < 0)
			return r;
		snapshot_writer_add(w, SNAPSHOT_DEVICE, i, b.data, b.len);
	}
	return 0;
}

static int devices_restore(const struct vm *v, const struct snapshot_file *f)
{
	for (unsigned i = 0; i < v->ndevices; i++) {
		size_t len = 0;
		const void *p = snapshot_file_find(f, SNAPSHOT_DEVICE, i, &len);
		int r = p ? virtio_mmio_load(v->devices[i], p, len) :
			    err(-EBADMSG, "snapshot: device %u is missing", i);

		if (r < 0)
			return r;
	}
	return 0;
}

/* ---- all of it ---- */

/* Devices before memory, which they write to, and before the IOAPIC, which they signal. */
int vm_snapshot_save(struct vm *v, const struct vm_snapshot *s)
{
	_cleanup_(snapshot_writer_done) struct snapshot_writer w = { 0 };
	int r;

	coalesced_drain(v);
	r = devices_save(v, &w);
	for (unsigned i = 0; r == 0 && i < v->nvcpus; i++)
		r = vcpu_save(&v->vcpus[i], &w);
	if (r == 0)
		r = vm_save(v, &w);
	if (r < 0)
		return r;
	ioapic_save(&v->ioapic, &w);
	if (s->note_len)
		snapshot_writer_add(&w, SNAPSHOT_NOTE, 0, s->note, s->note_len);
	return vm_memory_save(v, &s->key, &w, s->fd);
}

int vm_snapshot_verify(const struct vm_snapshot *s)
{
	_cleanup_(snapshot_file_done) struct snapshot_file f = { .fd = -1 };
	int r = snapshot_file_open(s->fd, &s->key, &f);

	return r < 0 ? r : snapshot_file_verify(&f);
}

int vm_snapshot_check(int fd)
{
	_cleanup_(snapshot_file_done) struct snapshot_file f = { .fd = -1 };
	int r = snapshot_file_open(fd, NULL, &f);

	return r < 0 ? r : snapshot_file_verify(&f);
}

int vm_snapshot_note(const struct vm_snapshot *s, void *note, size_t len)
{
	_cleanup_(snapshot_file_done) struct snapshot_file f = { .fd = -1 };
	int r = snapshot_file_open(s->fd, &s->key, &f);

	return r < 0 ? r : snapshot_file_get(&f, SNAPSHOT_NOTE, 0, note, len);
}

/* The clock last: it stands until then. */
int vm_restore(struct vm *v, const struct vm_snapshot *s)
{
	_cleanup_(snapshot_file_done) struct snapshot_file f = { .fd = -1 };
	struct snapshot_vm vm = { 0 };
	int r = snapshot_file_open(s->fd, &s->key, &f);

	if (r < 0)
		return r;
	r = vm_check(v, &f, &vm);
	if (r == 0)
		r = vm_memory_restore(v, &f);
	if (r == 0 && s->learn)
		r = vm_touched_watch(v, &f);
	if (r == 0)
		r = ioapic_restore(&v->ioapic, &f);
	if (r == 0)
		r = devices_restore(v, &f);
	for (unsigned i = 0; r == 0 && i < v->nvcpus; i++)
		r = vcpu_restore(&v->vcpus[i], &f);
	if (r == 0)
		vm_touched_have(v, &f);
	return r < 0 ? r : clock_restore(v, &vm);
}
