/* SPDX-License-Identifier: Apache-2.0 */
/* What strata-vmm is told of a spec: what it does, and nothing of where things are on the host. */
#include "base/fd.h"
#include "base/json.h"
#include "engine/spec.h"
#include "tests/base/unit.h"

#define HOST "/host/somewhere"

static char *argv[] = { (char[]){ "true" }, NULL };
static char *env[] = { NULL };

static struct run_spec *told(const struct run_spec *s)
{
	_close_ int fd = spec_memfd(s);
	_free_ char *text = NULL;
	_json_ json_t *j = NULL;
	struct run_spec *ret = NULL;
	size_t len;

	assert_true(fd >= 0);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	assert_ok(fd_read_all(fd, 1 << 20, &text, &len));
	assert_null(strstr(text, HOST));
	assert_ok(json_parse(text, len, "spec", &j));
	assert_ok(spec_from_json(j, &ret));
	return ret;
}

static void vmm_is_told(_unused_ void **state)
{
	struct digest layer = { 0 };
	struct run_volume volume = { (char[]){ HOST }, (char[]){ "/data" }, true };
	struct run_volume disk = { (char[]){ HOST }, (char[]){ "/disk" }, false };
	struct run_spec s = {
		.kind = RUN_VM,
		.name = (char[]){ "name" },
		.id = (char[]){ "0123456789ab" },
		.image = (char[]){ HOST },
		.store = (char[]){ HOST },
		.kernel = (char[]){ HOST },
		.cwd = (char[]){ "/" },
		.user = (char[]){ "" },
		.argv = argv,
		.env = env,
		.layers = &layer,
		.nlayers = 1,
		.volumes = &volume,
		.nvolumes = 1,
		.disks = &disk,
		.ndisks = 1,
		.modules = (char[]){ HOST },
		.vcpus = 2,
		.no_verify = true,
		.read_only = true,
		.limits = { .memory = 1 << 30 },
	};
	struct run_spec *t = told(&s);

	assert_int_equal(t->kind, RUN_VM);
	assert_string_equal(t->id, s.id);
	assert_string_equal(t->argv[0], "true");
	assert_null(t->argv[1]);
	assert_int_equal(t->vcpus, 2);
	assert_int_equal(t->nvolumes, 1);
	assert_string_equal(t->volumes[0].target, "/data");
	assert_true(t->volumes[0].rdonly);
	assert_int_equal(t->ndisks, 1);
	assert_string_equal(t->disks[0].target, "/disk");
	assert_non_null(t->modules);
	assert_int_equal(t->limits.memory, 1 << 30);
	assert_int_equal(t->limits.pids, 0);
	assert_true(t->no_verify && t->read_only);
	assert_false(t->tty || t->rm || t->balloon);
	spec_free(t);
	s.no_verify = s.read_only = false;
	t = told(&s);
	assert_false(t->no_verify || t->read_only);
	spec_free(t);
}

/* Of before these things were known, and with all of them. */
static void old_and_new(_unused_ void **state)
{
	static const char *const keys[] = { "labels",	  "stopTimeout", "tmpfs", "shmSize",
					    "dnsServers", "dnsSearch",	 "hosts", "dnsOptions" };
	char dns[] = "1.2.3.4", host[] = "a:1.2.3.4", *servers[] = { dns, NULL };
	char *hosts[] = { host, NULL };
	struct run_tmpfs tmpfs = { (char[]){ "/t" }, 5, 0700, true, false, true };
	struct run_spec s = {
		.name = (char[]){ "name" },
		.id = (char[]){ "0123456789ab" },
		.image = (char[]){ "image" },
		.store = (char[]){ "/store" },
		.cwd = (char[]){ "/" },
		.user = (char[]){ "" },
		.argv = argv,
		.env = env,
		.labels = json_pack("{s:s}", "a", HOST),
		.stop_timeout = 7,
		.init = true,
		.shm_size = SPEC_SHM_ANY,
		.tmpfs = &tmpfs,
		.ntmpfs = 1,
		.dns_servers = servers,
		.hosts = hosts,
	};
	_json_ json_t *j = spec_to_json(&s);
	struct run_spec *t = told(&s);

	/* The VMM has no use for labels, nor for how it is ended. */
	assert_null(t->labels);
	assert_int_equal(t->stop_timeout, -1);
	assert_string_equal(t->hosts[0], host);
	spec_free(t);
	assert_ok(spec_from_json(j, &t));
	assert_string_equal(json_get_str(t->labels, "a"), HOST);
	assert_int_equal(t->stop_timeout, 7);
	assert_true(t->init);
	assert_true(t->shm_size == SPEC_SHM_ANY);
	assert_int_equal(t->ntmpfs, 1);
	assert_int_equal(t->tmpfs[0].mode, 0700);
	assert_string_equal(t->dns_servers[0], dns);
	assert_null(t->dns_search);
	spec_free(t);
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		json_object_del(j, keys[i]);
	assert_ok(spec_from_json(j, &t));
	assert_null(t->labels);
	assert_int_equal(t->stop_timeout, -1);
	assert_true(!t->ntmpfs && !t->shm_size && !t->hosts && !t->dns_servers);
	spec_free(t);
	json_decref(s.labels);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(vmm_is_told),
					    cmocka_unit_test(old_and_new) };

	return cmocka_run_group_tests_name("engine/spec_json", tests, NULL, NULL);
}
