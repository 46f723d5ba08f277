/* SPDX-License-Identifier: Apache-2.0 */
/* A vCPU and its thread. */
#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/thread.h"
#include "microvm/cpuid.h"
#include "microvm/vm.h"
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#define MSR_IA32_MISC_ENABLE	0x1a0u
#define MISC_ENABLE_FAST_STRING 1u
#define MSR_MTRR_DEF_TYPE	0x2ffu
#define MTRR_ENABLED_WRITE_BACK 0x806u

/* What firmware would have set up. Not every CPU has them: KVM stops at one that it has not. */
static void msrs_set(const struct vcpu *c)
{
	static const struct kvm_msr_entry all[] = {
		{ .index = MSR_MTRR_DEF_TYPE, .data = MTRR_ENABLED_WRITE_BACK },
		{ .index = MSR_IA32_MISC_ENABLE, .data = MISC_ENABLE_FAST_STRING },
	};
	struct {
		uint32_t n, pad; /* as struct kvm_msrs has it */
		struct kvm_msr_entry entries[ARRAY_SIZE(all)];
	} m = { .n = 0 };

	for (size_t i = 0; i < ARRAY_SIZE(all); i += m.n + 1) {
		int done;

		m.n = (uint32_t)(ARRAY_SIZE(all) - i);
		memcpy(m.entries, all + i, m.n * sizeof(all[0]));
		done = ioctl(c->fd, KVM_SET_MSRS, &m);
		m.n = (uint32_t)MAX(done, 0);
	}
}

int vcpu_init(struct vcpu *c, struct vm *v, unsigned index, const struct kvm_cpuid2 *cpuid)
{
	int r;

	c->vm = v;
	c->index = index;
	c->fd = ioctl(v->fd, KVM_CREATE_VCPU, index);
	if (c->fd < 0)
		return err_sys("KVM: vCPU %u", index);
	c->run = mmap(NULL, v->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, c->fd, 0);
	if (c->run == MAP_FAILED) {
		c->run = NULL;
		return err_sys("KVM: vCPU %u", index);
	}
	r = vm_cpuid_set(c, cpuid);
	if (r < 0)
		return r;
	msrs_set(c);
	return 0;
}

void vcpu_done(struct vcpu *c)
{
	if (c->run)
		munmap(c->run, c->vm->run_size);
	c->run = NULL;
	c->fd = fd_close(c->fd);
}

static void *vcpu_main(void *arg)
{
	struct vcpu *c = arg;
	struct vm *v = c->vm;
	char name[16];

	snprintf(name, sizeof(name), "vcpu%u", c->index);
	pthread_setname_np(pthread_self(), name);
	if (vm_jail_thread("vcpu") < 0)
		vm_crashed(v, "vCPU %u: %s", c->index, err_take(-EPERM));
	while (v->end < 0) {
		if (ioctl(c->fd, KVM_RUN, 0) == 0)
			vcpu_exit(c);
		else if (errno != EINTR && errno != EAGAIN)
			vm_crashed(v, "vCPU %u: KVM_RUN: %s", c->index, strerror(errno));
	}
	atomic_fetch_sub(&v->nrunning, 1);
	eventfd_write(v->end_fd, 1);
	return NULL;
}

static void on_kick(_unused_ int sig)
{
}

/* The signal need do nothing but arrive. */
static int kick_handler(void)
{
	struct sigaction a = { .sa_handler = on_kick };

	return sigaction(VM_KICK_SIGNAL, &a, NULL) < 0 ? -errno : 0;
}

int vcpu_start(struct vcpu *c)
{
	int r = kick_handler();

	if (r < 0)
		return r;
	atomic_fetch_add(&c->vm->nrunning, 1);
	r = thread_start(vcpu_main, c, VM_KICK_SIGNAL, &c->thread);
	if (r < 0) {
		atomic_fetch_sub(&c->vm->nrunning, 1);
		return err(r, "vCPU %u: no thread", c->index);
	}
	c->started = true;
	return 0;
}

/* A signal that comes before KVM_RUN would be lost: that call then returns by itself. */
void vcpu_kick(struct vcpu *c)
{
	if (!c->started)
		return;
	__atomic_store_n(&c->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
	pthread_kill(c->thread, VM_KICK_SIGNAL);
}

void vcpu_join(struct vcpu *c)
{
	if (c->started)
		pthread_join(c->thread, NULL);
	c->started = false;
}
