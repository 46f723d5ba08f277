/* SPDX-License-Identifier: Apache-2.0 */
/* A machine that cannot be made: each call to KVM on the way there fails once. */
#include "microvm/microvm.h"

#include "base/err.h"
#include "microvm/filter.h"
#include "tests/microvm/bare.h"
#include <linux/kvm.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* All calls of this process go on but this ioctl, which fails by EPERM. */
static bool refuse(unsigned long ioctl_nr)
{
	struct filter f;

	filter_init(&f);
	for (size_t i = 0; i < ARRAY_SIZE(f.actions); i++)
		f.actions[i] = FILTER_ALLOW;
	filter_rule(&f, SYS_ioctl, 1);
	filter_if_equal(&f, (uint32_t)ioctl_nr, FILTER_DENY);
	filter_if_none_set(&f, 0, FILTER_ALLOW);
	filter_rule_end(&f);
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && filter_install(&f, 0) == 0;
}

static _Noreturn void try(const struct vm_config *cfg, unsigned long ioctl_nr)
{
	struct vm *v;

	_exit(refuse(ioctl_nr) && vm_new(cfg, &v) < 0 ? 0 : 1);
}

static void kvm_refuses(_unused_ void **state)
{
	static const uint8_t halt[] = { 0xf4 };
	static const unsigned long calls[] = {
		KVM_CREATE_VM,	KVM_GET_SUPPORTED_CPUID, KVM_SET_USER_MEMORY_REGION,
		KVM_ENABLE_CAP, KVM_CREATE_VCPU,	 KVM_SET_CPUID2,
		KVM_SET_SREGS,
	};
	static struct image i;
	struct vm_config cfg = config(-1);

	image_init(&i, halt, halt + sizeof(halt));
	cfg.kernel_fd = image_elf(&i, false);
	for (size_t k = 0; k < ARRAY_SIZE(calls); k++) {
		int status;
		pid_t pid = fork();

		assert_true(pid >= 0);
		if (!pid)
			try(&cfg, calls[k]);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (status)
			print_message("# call %zu: %#x\n", k, (unsigned)status);
		assert_int_equal(status, 0);
	}
	fd_close(cfg.kernel_fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(kvm_refuses) };

	if (access("/dev/kvm", R_OK | W_OK) < 0) {
		printf("1..0 # SKIP no /dev/kvm\n");
		return 0;
	}
	return cmocka_run_group_tests_name("microvm/vm", tests, NULL, NULL);
}
