/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A vCPU, to and from a snapshot (KVM api.rst). The order matters. Saved: what is in flight is
 * finished first, MP_STATE before all since it takes up pending INITs, the events last. Restored
 * (CPUID is set already): SREGS has the APIC's base, which the APIC's state wants; TSC_DEADLINE is
 * the last MSR, since it arms the APIC's timer by the TSC.
 */
#include "base/err.h"
#include "base/mem.h"
#include "microvm/snapshot_machine.h"
#include <cpuid.h>
#include <sys/ioctl.h>

#define MSR_TSC		 0x10u
#define MSR_TSC_DEADLINE 0x6e0u
#define MSRS_MAX	 1024u

#define MSRS_AT_ONCE 255u /* what KVM_GET_MSRS takes: fewer than its MAX_IO_MSRS */

struct msrs {
	uint32_t n, pad; /* as struct kvm_msrs */
	struct kvm_msr_entry entries[MSRS_AT_ONCE];
};

static int failed(const struct vcpu *c, const char *what)
{
	return err(-errno, "snapshot: vCPU %u: %s: %s", c->index, what, strerror(errno));
}

/* ---- MSRs ---- */

/* The numbers of those that KVM keeps for a vCPU. */
static struct kvm_msr_list *msr_list(const struct vcpu *c)
{
	_free_ struct kvm_msr_list *l = mem_new(1, sizeof(*l) + MSRS_MAX * sizeof(l->indices[0]));

	if (l)
		l->nmsrs = MSRS_MAX;
	return l && ioctl(c->vm->kvm_fd, KVM_GET_MSR_INDEX_LIST, l) == 0 ? take_ptr(l) : NULL;
}

/* As many of the @n as come at once, from the first on: how many; 0 = not even that one. */
static size_t msrs_get(const struct vcpu *c, struct kvm_msr_entry *e, size_t n)
{
	struct msrs m = { .n = (uint32_t)MIN(n, (size_t)MSRS_AT_ONCE) };
	int got;

	memcpy(m.entries, e, m.n * sizeof(*e));
	got = ioctl(c->fd, KVM_GET_MSRS, &m);
	if (got <= 0)
		return 0;
	memcpy(e, m.entries, (size_t)got * sizeof(*e));
	return (size_t)got;
}

/* One that cannot be read is none of this CPU's. */
static int msrs_save(const struct vcpu *c, struct snapshot_writer *w)
{
	_free_ struct kvm_msr_list *l = msr_list(c);
	_free_ struct kvm_msr_entry *e = NULL;
	size_t n, have = 0;

	if (!l)
		return failed(c, "list of MSRs");
	n = l->nmsrs;
	e = mem_new(n, sizeof(*e));
	if (!e)
		return err(-ENOMEM, "snapshot: no memory");
	for (size_t i = 0; i < n; i++)
		e[i].index = l->indices[i];
	while (have < n) {
		size_t got = msrs_get(c, e + have, n - have);

		have += got;
		if (!got)
			memmove(e + have, e + have + 1, (--n - have) * sizeof(*e));
	}
	snapshot_writer_add(w, SNAPSHOT_MSRS, c->index, e, n * sizeof(*e));
	return 0;
}

static int msr_set(const struct vcpu *c, const struct kvm_msr_entry *e)
{
	struct {
		uint32_t n, pad;
		struct kvm_msr_entry entry;
	} one = { 1, 0, *e };

	if (ioctl(c->fd, KVM_SET_MSRS, &one) == 1)
		return 0;
	return err(-EOPNOTSUPP, "snapshot: vCPU %u: MSR %#x cannot be set to %#llx", c->index,
		   e->index, (unsigned long long)e->data);
}

/* What they are now; of one that cannot be read, anything but what it is to be. */
static void msrs_now(const struct vcpu *c, struct kvm_msr_entry *now, size_t n)
{
	for (size_t i = 0; i < n;) {
		size_t got = msrs_get(c, now + i, n - i);

		if (!got)
			now[i].data = ~now[i].data;
		i += got ? got : 1;
	}
}

/* Only those that are not what the snapshot has; one at a time, so that one fails alone. */
static int msrs_restore(const struct vcpu *c, const struct snapshot_file *f)
{
	size_t len = 0, n;
	const struct kvm_msr_entry *e = snapshot_file_find(f, SNAPSHOT_MSRS, c->index, &len);
	_free_ struct kvm_msr_entry *now = NULL;
	const struct kvm_msr_entry *deadline = NULL;
	int r = 0;

	n = len / sizeof(*e);
	if (!e || n > MSRS_MAX || len % sizeof(*e))
		return err(-EBADMSG, "snapshot: vCPU %u: impossible MSRs", c->index);
	now = mem_dup(e, len);
	if (!now)
		return err(-ENOMEM, "snapshot: no memory");
	msrs_now(c, now, n);
	for (size_t i = 0; r == 0 && i < n; i++) {
		if (e[i].index == MSR_TSC_DEADLINE)
			deadline = &e[i];
		else if (e[i].index == MSR_TSC || now[i].data != e[i].data)
			r = msr_set(c, &e[i]);
	}
	return r == 0 && deadline ? msr_set(c, deadline) : r;
}

/* ---- registers ---- */

struct part {
	enum snapshot_record_type type;
	unsigned long get, set;
	size_t len;
	const char *name;
};

/* In the order in which they are saved. */
static const struct part parts[] = {
	{ SNAPSHOT_MP_STATE, KVM_GET_MP_STATE, KVM_SET_MP_STATE, sizeof(struct kvm_mp_state),
	  "state" },
	{ SNAPSHOT_REGS, KVM_GET_REGS, KVM_SET_REGS, sizeof(struct kvm_regs), "registers" },
	{ SNAPSHOT_SREGS, KVM_GET_SREGS2, KVM_SET_SREGS2, sizeof(struct kvm_sregs2),
	  "system registers" },
	{ SNAPSHOT_XCRS, KVM_GET_XCRS, KVM_SET_XCRS, sizeof(struct kvm_xcrs), "XCR0" },
	{ SNAPSHOT_LAPIC, KVM_GET_LAPIC, KVM_SET_LAPIC, sizeof(struct kvm_lapic_state), "APIC" },
	{ SNAPSHOT_DEBUGREGS, KVM_GET_DEBUGREGS, KVM_SET_DEBUGREGS, sizeof(struct kvm_debugregs),
	  "debug registers" },
	{ SNAPSHOT_EVENTS, KVM_GET_VCPU_EVENTS, KVM_SET_VCPU_EVENTS, sizeof(struct kvm_vcpu_events),
	  "events" },
};
#define PART_MAX sizeof(struct kvm_lapic_state) /* the largest */

static const struct part *part_of(enum snapshot_record_type type)
{
	const struct part *p = parts;

	while (p->type != type)
		p++;
	return p;
}

static int part_save(const struct vcpu *c, struct snapshot_writer *w, const struct part *p)
{
	uint64_t data[PART_MAX / sizeof(uint64_t)] = { 0 };

	if (ioctl(c->fd, p->get, data) < 0)
		return failed(c, p->name);
	snapshot_writer_add(w, p->type, c->index, data, p->len);
	return 0;
}

static int part_restore(const struct vcpu *c, const struct snapshot_file *f,
			enum snapshot_record_type type)
{
	const struct part *p = part_of(type);
	uint64_t data[PART_MAX / sizeof(uint64_t)];
	int r = snapshot_file_get(f, type, c->index, data, p->len);

	if (r < 0)
		return r;
	return ioctl(c->fd, p->set, data) < 0 ? failed(c, p->name) : 0;
}

/*
 * QEMU's TCG, whose emulated CPUs our testbed has, looks at a task segment's type when a program
 * uses an I/O port, and takes only one that is not busy (helper_check_io()); KVM says busy of each,
 * as CPUs do. Without this such a program dies in a restored guest.
 */
static void sregs_adapt(struct kvm_sregs2 *s)
{
	const unsigned hypervisor = 0x40000000, available = 9;
	unsigned eax, name[3];

	__cpuid(hypervisor, eax, name[0], name[1], name[2]);
	if (memcmp(name, "TCGTCGTCGTCG", sizeof(name)) == 0)
		s->tr.type = available;
}

static int sregs_restore(const struct vcpu *c, const struct snapshot_file *f)
{
	struct kvm_sregs2 s;
	int r = snapshot_file_get(f, SNAPSHOT_SREGS, c->index, &s, sizeof(s));

	if (r < 0)
		return r;
	sregs_adapt(&s);
	return ioctl(c->fd, KVM_SET_SREGS2, &s) < 0 ? failed(c, "system registers") : 0;
}

/* How large the area is in this VM: 4 KiB, or more with AMX. */
static size_t xsave_len(const struct vcpu *c)
{
	int n = ioctl(c->vm->fd, KVM_CHECK_EXTENSION, KVM_CAP_XSAVE2);
	size_t least = sizeof(struct kvm_xsave);

	return n > 0 ? MAX((size_t)n, least) : least;
}

static int xsave_save(const struct vcpu *c, struct snapshot_writer *w)
{
	size_t len = xsave_len(c);
	_free_ void *area = mem_new(1, len);

	if (!area)
		return err(-ENOMEM, "snapshot: no memory");
	if (ioctl(c->fd, len > sizeof(struct kvm_xsave) ? KVM_GET_XSAVE2 : KVM_GET_XSAVE, area) < 0)
		return failed(c, "XSAVE area");
	snapshot_writer_add(w, SNAPSHOT_XSAVE, c->index, area, len);
	return 0;
}

static int xsave_restore(const struct vcpu *c, const struct snapshot_file *f)
{
	size_t len = 0;
	const void *area = snapshot_file_find(f, SNAPSHOT_XSAVE, c->index, &len);

	if (!area || len != xsave_len(c))
		return err(-EBADMSG, "snapshot: vCPU %u: XSAVE area of another size", c->index);
	return ioctl(c->fd, KVM_SET_XSAVE, area) < 0 ? failed(c, "XSAVE area") : 0;
}

/* The access that the last exit was about is done, and no instruction more. */
static int settle(const struct vcpu *c)
{
	int r;

	__atomic_store_n(&c->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
	r = ioctl(c->fd, KVM_RUN, 0);
	__atomic_store_n(&c->run->immediate_exit, 0, __ATOMIC_SEQ_CST);
	if (r == 0)
		return err(-EBUSY, "snapshot: vCPU %u cannot be stopped where it is", c->index);
	return errno == EINTR || errno == EAGAIN ? 0 : failed(c, "KVM_RUN");
}

int vcpu_save(struct vcpu *c, struct snapshot_writer *w)
{
	int r = settle(c);

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(parts); i++) {
		if (parts[i].type == SNAPSHOT_EVENTS) {
			r = xsave_save(c, w);
			if (r == 0)
				r = msrs_save(c, w);
		}
		if (r == 0)
			r = part_save(c, w, &parts[i]);
	}
	return r;
}

int vcpu_restore(const struct vcpu *c, const struct snapshot_file *f)
{
	int r = sregs_restore(c, f);

	if (r == 0)
		r = part_restore(c, f, SNAPSHOT_XCRS);
	if (r == 0)
		r = xsave_restore(c, f);
	if (r == 0)
		r = part_restore(c, f, SNAPSHOT_REGS);
	if (r == 0)
		r = part_restore(c, f, SNAPSHOT_DEBUGREGS);
	if (r == 0)
		r = part_restore(c, f, SNAPSHOT_LAPIC);
	if (r == 0)
		r = msrs_restore(c, f);
	if (r == 0)
		r = part_restore(c, f, SNAPSHOT_MP_STATE);
	if (r == 0)
		r = part_restore(c, f, SNAPSHOT_EVENTS);
	if (r == 0)
		ioctl(c->fd, KVM_KVMCLOCK_CTRL, 0); /* no watchdog barks; without a clock: EINVAL */
	return r;
}
