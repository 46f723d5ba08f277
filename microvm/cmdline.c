/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel's command line: what this machine is, its devices, then what the user adds. */
#include "base/err.h"
#include "base/mem.h"
#include "microvm/boot.h"
#include "microvm/vm.h"
#include <stdarg.h>

/*
 * reboot=t: by triple fault, one exit. panic=-1: at once. tsc=reliable, no_timer_check: no
 * watchdog, no test of timers that are not there. noreplace-smp, rcu_expedited: less work at boot.
 * 8250: no port to look for. initcall_blacklist: /sys/kernel/slab, the parameters in /sys/module of
 * what is built in, and /sys/kernel/irq are an eighth of a boot, and nobody asks for them
 * (docs/KERNEL.md).
 */
static const char machine[] =
	"console=hvc0 reboot=t panic=-1 tsc=reliable no_timer_check noreplace-smp "
	"rcupdate.rcu_expedited=1 8250.nr_uarts=0 "
	"initcall_blacklist=slab_late_init,param_sysfs_builtin_init,irq_sysfs_init";

/* What our own kernel does unasked, and pays 37,000 instructions for each word of. */
static const char distribution[] = " cryptomgr.notests random.trust_cpu=on";

__attribute__((format(printf, 2, 3))) static int add(struct vm *v, const char *fmt, ...)
{
	size_t len = strlen(v->cmdline);
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(v->cmdline + len, sizeof(v->cmdline) - len, fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof(v->cmdline) - len)
		return err(-E2BIG, "the kernel's command line is longer than %u bytes",
			   VM_CMDLINE_MAX - 1);
	return 0;
}

int vm_cmdline_make(struct vm *v, const struct vm_config *cfg)
{
	int r = add(v, "%s %s%s", machine, cfg->verbose ? "loglevel=7" : "loglevel=1",
		    cfg->acpi ? distribution : "");

	for (unsigned i = 0; r == 0 && !cfg->acpi && i < v->ndevices; i++)
		r = add(v, " virtio_mmio.device=4K@%#llx:%u",
			(unsigned long long)virtio_mmio_gpa(v->devices[i]),
			virtio_mmio_gsi(v->devices[i]));
	if (r == 0 && cfg->cmdline && cfg->cmdline[0])
		r = add(v, " %s", cfg->cmdline);
	return r;
}
