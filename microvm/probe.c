/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether this KVM can run an unmodified kernel. Some cannot (software KVMs such as PVM interpret
 * kernel code), though they offer the whole interface; so a tiny guest tries.
 */
#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#include "microvm/microvm.h"
#include "microvm/probe_guest.h"
#include <assert.h>
#include <linux/kvm.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>

#define TIME_MAX_S 2
#define EXITS_MAX  64
#define MIPS_MIN   8u /* interpreted kernel code does 1 to 2 */
#define LOOPS_MAX  10u /* a busy host may take the processor away in any one of them, not in all */
#define CPUID_MAX  256
#define TRAPS	   32
#define TRAP_INT3  3

struct probe {
	int kvm, vm, vcpu;
	uint8_t *mem;
	struct kvm_run *run;
	size_t run_size;
	enum probe_step step;
	uint64_t times[PROBE_STEPS];
	unsigned nloops; /* that were too slow */
	char *why;
	size_t why_size;
};

static const char *const step_names[PROBE_STEPS] = {
	"entering the guest",
	"cpuid",
	"fxsave",
	"xsave",
	"cmpxchg16b and popcnt",
	"int3",
	"wrmsr and swapgs",
	"iretq and syscall",
	"a loop",
	"the end",
};

__attribute__((format(printf, 2, 3))) static enum vm_probe_result cannot(struct probe *p,
									 const char *fmt, ...)
{
	char text[128];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	snprintf(p->why, p->why_size, "this KVM cannot run an unmodified kernel: %s (at %s)", text,
		 step_names[p->step]);
	return VM_PROBE_CANNOT;
}

/* -errno of the call that has just failed. */
static int failure(void)
{
	return errno > 0 ? -errno : -EIO;
}

/* ---- the guest's memory and registers ---- */

static void put64(struct probe *p, unsigned at, uint64_t v)
{
	memcpy(p->mem + at, &v, sizeof(v));
}

/* A gate for each exception to 16 bytes of code that say its number; that of int3 returns. */
static void traps_write(struct probe *p)
{
	for (unsigned i = 0; i < TRAPS; i++) {
		unsigned handler = PROBE_TRAPS + i * 16, dpl3 = i == TRAP_INT3 ? 0x60 : 0;
		/* mov $i, %al; mov $port, %dx; out %al, (%dx); hlt */
		const uint8_t say[] = {
			0xb0, (uint8_t)i, 0x66, 0xba, PROBE_PORT_TRAP & 0xff, PROBE_PORT_TRAP >> 8,
			0xee, 0xf4
		};
		const uint8_t iretq[] = { 0x48, 0xcf };

		memcpy(p->mem + handler, i == TRAP_INT3 ? iretq : say,
		       i == TRAP_INT3 ? sizeof(iretq) : sizeof(say));
		put64(p, PROBE_IDT + i * 16,
		      handler | 0x10u << 16 | (uint64_t)(0x8e00 | dpl3 << 8) << 32);
	}
}

static void memory_write(struct probe *p)
{
	/* 0x10 kernel code, 0x18 kernel data, 0x28 user data, 0x30 user code, 0x40 TSS */
	static const uint64_t gdt[] = {
		0,
		0,
		0x00af9b000000ffff,
		0x00cf93000000ffff,
		0,
		0x00cff3000000ffff,
		0x00affb000000ffff,
		0,
		0x67 | (uint64_t)PROBE_TSS << 16 | UINT64_C(0x8b) << 40,
		0,
	};

	memcpy(p->mem + PROBE_GDT, gdt, sizeof(gdt));
	put64(p, PROBE_PML4, PROBE_PDPT | 7);
	put64(p, PROBE_PDPT, PROBE_PD | 7);
	put64(p, PROBE_PD, 0x87);
	put64(p, PROBE_TSS + 4, PROBE_STACK);
	traps_write(p);
	memcpy(p->mem + PROBE_CODE, probe_guest_start, probe_guest_len);
}

static struct kvm_segment flat(uint16_t selector, uint8_t type, bool code)
{
	return (struct kvm_segment){
		.limit = UINT32_MAX,
		.selector = selector,
		.type = type,
		.present = 1,
		.s = 1,
		.g = 1,
		.l = code,
		.db = !code,
	};
}

static int registers_set(struct probe *p)
{
	struct kvm_regs regs = { .rip = PROBE_CODE, .rsp = PROBE_STACK, .rflags = 2 };
	struct kvm_sregs s;

	if (ioctl(p->vcpu, KVM_GET_SREGS, &s) < 0)
		return failure();
	s.cs = flat(0x10, 11, true);
	s.ds = s.es = s.fs = s.gs = s.ss = flat(0x18, 3, false);
	s.tr = (struct kvm_segment){
		.base = PROBE_TSS, .limit = 0x67, .selector = 0x40, .type = 11, .present = 1
	};
	s.gdt.base = PROBE_GDT;
	s.gdt.limit = 10 * 8 - 1;
	s.idt.base = PROBE_IDT;
	s.idt.limit = TRAPS * 16 - 1;
	s.cr0 = 0x80050033; /* PG AM WP NE ET MP PE */
	s.cr3 = PROBE_PML4;
	s.cr4 = 0x620;	/* OSXMMEXCPT OSFXSR PAE */
	s.efer = 0xd01; /* NXE LMA LME SCE */
	if (ioctl(p->vcpu, KVM_SET_SREGS, &s) < 0 || ioctl(p->vcpu, KVM_SET_REGS, &regs) < 0)
		return failure();
	return 0;
}

static int cpuid_set(struct probe *p)
{
	_free_ struct kvm_cpuid2 *c = mem_new(1, sizeof(*c) + CPUID_MAX * sizeof(c->entries[0]));

	if (!c)
		return -ENOMEM;
	c->nent = CPUID_MAX;
	if (ioctl(p->kvm, KVM_GET_SUPPORTED_CPUID, c) < 0 || ioctl(p->vcpu, KVM_SET_CPUID2, c) < 0)
		return failure();
	return 0;
}

static int memory_new(struct probe *p)
{
	struct kvm_userspace_memory_region r = { .memory_size = PROBE_MEMORY };

	p->mem = mmap(NULL, PROBE_MEMORY, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		      0);
	if (p->mem == MAP_FAILED) {
		p->mem = NULL;
		return failure();
	}
	r.userspace_addr = (uintptr_t)p->mem;
	return ioctl(p->vm, KVM_SET_USER_MEMORY_REGION, &r) < 0 ? failure() : 0;
}

static int vcpu_new(struct probe *p)
{
	int size = ioctl(p->kvm, KVM_GET_VCPU_MMAP_SIZE, 0);

	p->vcpu = ioctl(p->vm, KVM_CREATE_VCPU, 0);
	if (size < (int)sizeof(*p->run) || p->vcpu < 0)
		return failure();
	p->run_size = (size_t)size;
	p->run = mmap(NULL, p->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, p->vcpu, 0);
	if (p->run == MAP_FAILED) {
		p->run = NULL;
		return failure();
	}
	return 0;
}

static int guest_new(struct probe *p)
{
	int r;

	/* Whoever makes a machine later need not ask. */
	if (ioctl(p->kvm, KVM_GET_API_VERSION, 0) != KVM_API_VERSION)
		return -EOPNOTSUPP;
	p->vm = ioctl(p->kvm, KVM_CREATE_VM, 0);
	if (p->vm < 0)
		return failure();
	r = memory_new(p);
	if (r == 0)
		r = vcpu_new(p);
	if (r == 0)
		r = cpuid_set(p);
	if (r < 0)
		return r;
	assert(p->mem && p->run);
	memory_write(p);
	return registers_set(p);
}

static void probe_done(struct probe *p)
{
	if (p->run)
		munmap(p->run, p->run_size);
	fd_close(p->vcpu);
	fd_close(p->vm);
	fd_close(p->kvm);
	if (p->mem)
		munmap(p->mem, PROBE_MEMORY);
}

/* ---- running ---- */

/* Millions of instructions a second in the loop that has just ended. */
static uint64_t speed(const struct probe *p)
{
	uint64_t ns = p->times[PROBE_DONE] - p->times[PROBE_LOOP];

	return (uint64_t)PROBE_LOOP_INSNS * 1000 / MAX(ns, UINT64_C(1));
}

static enum vm_probe_result other_exit(struct probe *p)
{
	const uint8_t *b = p->run->emulation_failure.insn_bytes;

	if (p->run->exit_reason == KVM_EXIT_INTERNAL_ERROR &&
	    p->run->internal.suberror == KVM_INTERNAL_ERROR_EMULATION && p->run->internal.ndata > 1)
		return cannot(
			p, "it emulates kernel code and lacks the instruction %02x %02x %02x %02x",
			b[0], b[1], b[2], b[3]);
	return cannot(p, "unexpected exit %u", p->run->exit_reason);
}

static enum vm_probe_result guest_run(struct probe *p)
{
	assert(p->run);
	for (unsigned i = 0; i < EXITS_MAX; i++) {
		const uint8_t *data;

		if (ioctl(p->vcpu, KVM_RUN, 0) < 0) {
			if (errno == EAGAIN)
				continue;
			return errno == EINTR ? cannot(p, "no end within %d s", TIME_MAX_S) :
						cannot(p, "KVM_RUN: %s", strerror(errno));
		}
		if (p->run->exit_reason != KVM_EXIT_IO)
			return other_exit(p);
		data = (const uint8_t *)p->run + p->run->io.data_offset;
		if (p->run->io.port == PROBE_PORT_TRAP)
			return cannot(p, "exception %u", *data);
		if (*data >= PROBE_STEPS)
			return cannot(p, "unknown step");
		p->step = *data;
		p->times[p->step] = clock_ns();
		if (p->step != PROBE_DONE)
			continue;
		if (speed(p) >= MIPS_MIN)
			return VM_PROBE_OK;
		if (++p->nloops == LOOPS_MAX)
			return cannot(p, "kernel code is interpreted, %llu million instructions "
					 "a second",
				      (unsigned long long)speed(p));
	}
	return cannot(p, "too many exits");
}

/* ---- the time it may take: a signal of our own to this thread ---- */

static struct kvm_run *_Atomic alarmed_run;

/* Makes KVM_RUN return also when the signal comes just before it. */
static void on_alarm(_unused_ int sig)
{
	struct kvm_run *run = alarmed_run;

	if (run)
		run->immediate_exit = 1;
}

struct alarm {
	timer_t timer;
	struct sigaction old_action;
	sigset_t old_mask;
};

static int alarm_begin(struct alarm *a, struct probe *p)
{
	struct sigaction action = { .sa_handler = on_alarm };
	struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = VM_KICK_SIGNAL };
	struct itimerspec t = { .it_value.tv_sec = TIME_MAX_S };
	sigset_t mask;

	event._sigev_un._tid = (pid_t)syscall(SYS_gettid);
	if (timer_create(CLOCK_MONOTONIC, &event, &a->timer) < 0)
		return failure();
	alarmed_run = p->run;
	sigemptyset(&mask);
	sigaddset(&mask, VM_KICK_SIGNAL);
	sigaction(VM_KICK_SIGNAL, &action, &a->old_action);
	pthread_sigmask(SIG_UNBLOCK, &mask, &a->old_mask);
	timer_settime(a->timer, 0, &t, NULL);
	return 0;
}

static void alarm_end(struct alarm *a)
{
	timer_delete(a->timer);
	alarmed_run = NULL;
	pthread_sigmask(SIG_SETMASK, &a->old_mask, NULL);
	sigaction(VM_KICK_SIGNAL, &a->old_action, NULL);
}

enum vm_probe_result vm_probe(char *why, size_t size)
{
	struct probe p = { .vm = -1, .vcpu = -1, .why = why, .why_size = size };
	enum vm_probe_result result = VM_PROBE_NO_KVM;
	struct alarm a = { 0 };
	int r;

	why[0] = '\0';
	p.kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (p.kvm < 0) {
		snprintf(why, size, "no KVM: /dev/kvm: %s", strerror(errno));
		return VM_PROBE_NO_KVM;
	}
	r = guest_new(&p);
	if (r == 0)
		r = alarm_begin(&a, &p);
	if (r != 0) {
		snprintf(why, size, "no KVM: a VM cannot be made: %s", strerror(-r));
	} else {
		result = guest_run(&p);
		alarm_end(&a);
	}
	probe_done(&p);
	return result;
}
