/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A config.json, a process and resources of any bytes: refused with a text, or within the bounds of
 * what the container room takes.
 */
#include "base/err.h"
#include "oci/cgroup.h"
#include "oci/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
	if (!holds)
		abort();
}

static void check(struct oci_config *c)
{
	struct device_rules rules;

	must(c->spec.argv && c->spec.argv[0] && *c->spec.cwd == '/');
	must(c->given.nnamespaces <= OCI_NAMESPACES_MAX && c->spec.nrlimits <= OCI_RLIMITS_MAX);
	for (size_t i = 0; i < c->given.nmounts; i++)
		must(*c->given.mounts[i].target == '/' && c->given.mounts[i].source);
	for (size_t i = 0; i < c->given.ndevices; i++)
		must(*c->given.devices[i].path == '/');
	for (int v2 = 0; v2 < 2; v2++) {
		struct settings s;

		if (settings_parse(c->resources, v2, &s) == 0)
			settings_done(&s);
	}
	if (device_rules_parse(c->resources, c->devices, &rules) == 0) {
		must(rules.n > 0);
		device_rules_done(&rules);
	}
	oci_config_free(c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct oci_config *c;

	if (oci_config_parse((const char *)data, size, &c) == 0)
		check(c);
	else
		must(err_text() != NULL);
	err_clear();
	if (oci_process_parse((const char *)data, size, &c) == 0)
		check(c);
	err_clear();
	return 0;
}
