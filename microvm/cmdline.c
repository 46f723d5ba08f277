/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel's command line: what this machine is, its devices, then what the user adds. */
#include "base/err.h"
#include "base/mem.h"
#include "microvm/vm.h"
#include <stdarg.h>

/*
 * reboot=t: by triple fault, one exit. panic=-1: at once. tsc=reliable, no_timer_check: no
 * watchdog, no test of timers that are not there. noreplace-smp, cryptomgr.notests, rcu_expedited:
 * less work at boot. 8250: no port to look for.
 */
static const char machine[] =
	"console=hvc0 reboot=t panic=-1 tsc=reliable no_timer_check noreplace-smp "
	"cryptomgr.notests random.trust_cpu=on rcupdate.rcu_expedited=1 8250.nr_uarts=0";

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
	int r = add(v, "%s %s", machine, cfg->verbose ? "loglevel=7" : "quiet loglevel=1");

	for (unsigned i = 0; r == 0 && !cfg->acpi && i < v->ndevices; i++)
		r = add(v, " virtio_mmio.device=4K@%#llx:%u",
			(unsigned long long)virtio_mmio_gpa(v->devices[i]),
			virtio_mmio_gsi(v->devices[i]));
	if (r == 0 && cfg->cmdline && cfg->cmdline[0])
		r = add(v, " %s", cfg->cmdline);
	return r;
}
