/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether a microVM can run here. The probe costs milliseconds, so its verdict is kept in
 * RUNROOT/kvm for this boot and this KVM module: "BOOT_ID MODULE ok" or "BOOT_ID MODULE REASON".
 */
#include "base/err.h"
#include "base/fd.h"
#include "base/proc.h"
#include "base/str.h"
#include "engine/engine_.h"
#include "microvm/microvm.h"

static const char *kvm_module(void)
{
	static const char *const modules[] = { "kvm_intel", "kvm_amd", "kvm_pvm" };

	for (unsigned i = 0; i < ARRAY_SIZE(modules); i++) {
		_free_ char *path = str_fmt("/sys/module/%s", modules[i]);

		if (path && access(path, F_OK) == 0)
			return modules[i];
	}
	return "kvm";
}

static int refuse(const char *why)
{
	return err(-EOPNOTSUPP, "no microVM here: %s", why);
}

static int probe(struct engine *e, const char *key)
{
	char why[200] = "";
	enum vm_probe_result r = vm_probe(why, sizeof(why));
	_free_ char *text = NULL;

	if (r == VM_PROBE_NO_KVM)
		return refuse(why);
	text = str_fmt("%s %s", key, r == VM_PROBE_OK ? "ok" : why);
	if (!text)
		return -ENOMEM;
	/* Only a cache: a state folder that cannot be written to costs the probe again. */
	if (file_replace(e->runroot_fd, "kvm", text, strlen(text), 0600, false) < 0)
		err_clear();
	return r == VM_PROBE_OK ? 0 : refuse(why);
}

int engine_vm_usable(struct engine *e)
{
	_free_ char *key = NULL, *known = NULL;
	const char *verdict;
	struct boot_id boot;
	size_t len;

	if (access("/dev/kvm", R_OK | W_OK) < 0)
		return err(-EOPNOTSUPP, "no microVM here: /dev/kvm: %s", strerror(errno));
	if (proc_boot_id(&boot) < 0)
		boot.s[0] = '\0';
	err_clear();
	key = str_fmt("%s %s", boot.s, kvm_module());
	if (!key)
		return -ENOMEM;
	if (file_read_all(e->runroot_fd, "kvm", 4096, &known, &len) < 0) {
		err_clear();
		return probe(e, key);
	}
	verdict = str_after(known, key);
	if (!verdict || *verdict != ' ')
		return probe(e, key);
	return streq(verdict, " ok") ? 0 : refuse(verdict + 1);
}
