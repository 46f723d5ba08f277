/* SPDX-License-Identifier: Apache-2.0 */
/* Resources as files of v1 and v2, rules about devices, where groups lie, seccomp profiles. */
#include "base/err.h"
#include "base/fd.h"
#include "base/str.h"
#include "oci/cgroup.h"
#include "oci/seccomp.h"
#include <linux/bpf.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/wait.h>
#include <cmocka.h>

static json_t *doc;

static const json_t *json(const char *text)
{
	json_decref(doc);
	assert_int_equal(json_parse(text, strlen(text), "test", &doc), 0);
	return doc;
}

/* "file=value ..." in the order in which they are written. */
static void assert_settings(const char *resources, bool v2, const char *expected)
{
	struct settings s;
	char text[1024] = "";

	assert_int_equal(settings_parse(json(resources), v2, &s), 0);
	for (size_t i = 0; i < s.n; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s=%s", i ? " " : "",
			 s.s[i].file, s.s[i].value);
	assert_string_equal(text, expected);
	settings_done(&s);
}

static void memory(void **state _unused_)
{
	const char *both = "{\"memory\":{\"limit\":100,\"swap\":150,\"reservation\":50,"
			   "\"swappiness\":0}}";

	assert_settings(both, false,
			"memory.limit_in_bytes=100 memory.soft_limit_in_bytes=50 "
			"memory.memsw.limit_in_bytes=150 memory.swappiness=0");
	assert_settings(both, true, "memory.max=100 memory.low=50 memory.swap.max=50");
	assert_settings("{\"memory\":{\"limit\":-1,\"swap\":-1}}", true,
			"memory.max=max memory.swap.max=max");
	/* An engine's `update` says 0 of what stays as it is. */
	assert_settings("{\"memory\":{\"limit\":0,\"swap\":0},\"cpu\":{\"shares\":0,\"quota\":0,"
			"\"period\":0,\"cpus\":\"\"},\"pids\":{\"limit\":0},\"blockIO\":{"
			"\"weight\":0}}",
			true, "");
}

static void cpu(void **state _unused_)
{
	const char *all = "{\"cpu\":{\"shares\":1024,\"quota\":5000,\"period\":10000,\"cpus\":"
			  "\"0-1\",\"mems\":\"0\"},\"pids\":{\"limit\":7}}";

	assert_settings(all, false,
			"cpu.shares=1024 cpu.cfs_period_us=10000 cpu.cfs_quota_us=5000 "
			"cpuset.cpus=0-1 cpuset.mems=0 pids.max=7");
	assert_settings(all, true,
			"cpu.weight=39 cpu.max=5000 10000 cpuset.cpus=0-1 cpuset.mems=0 "
			"pids.max=7");
	assert_settings("{\"cpu\":{\"quota\":-1},\"pids\":{\"limit\":-1}}", true,
			"cpu.max=max pids.max=max");
	assert_settings("{\"cpu\":{\"shares\":262144}}", true, "cpu.weight=10000");
}

static void others(void **state _unused_)
{
	const char *all = "{\"blockIO\":{\"weight\":1000,\"throttleReadBpsDevice\":[{\"major\":8,"
			  "\"minor\":1,\"rate\":99}]},\"hugepageLimits\":[{\"pageSize\":\"2MB\","
			  "\"limit\":4}],\"unified\":{\"memory.high\":\"5\"}}";

	assert_settings(all, false,
			"blkio.weight=1000 blkio.throttle.read_bps_device=8:1 99 "
			"hugetlb.2MB.limit_in_bytes=4");
	assert_settings(all, true,
			"io.weight=10000 io.max=8:1 rbps=99 hugetlb.2MB.max=4 memory.high=5");
}

static void refused(void **state _unused_)
{
	static const char *const bad[] = {
		"{\"memory\":{\"swap\":5}}",
		"{\"memory\":{\"limit\":9,\"swap\":5}}",
		"{\"memory\":{\"limit\":\"9\"}}",
		"{\"memory\":[]}",
		"{\"unified\":{\"../x.y\":\"1\"}}",
		"{\"unified\":{\"cgroup.procs\":\"1\"}}",
		"{\"unified\":{\"memory.max\":1}}",
		"{\"hugepageLimits\":[{\"pageSize\":\"../x\",\"limit\":1}]}",
		"{\"blockIO\":{\"weight\":1001}}",
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct settings s;

		if (settings_parse(json(bad[i]), true, &s) != -EINVAL)
			fail_msg("%s", bad[i]);
		err_clear();
	}
}

static void rules(void **state _unused_)
{
	struct device_rules r;

	assert_int_equal(device_rules_parse(json("{\"devices\":[{\"allow\":true,\"type\":\"c\","
						 "\"major\":10,\"access\":\"rw\"}]}"),
					    NULL, &r),
			 0);
	/* All is denied before the first word of a config that does not say it. */
	assert_true(!r.r[0].allow && r.r[0].type == 'a' && r.r[0].access == 7);
	assert_true(r.r[1].allow && r.r[1].major == 10 && r.r[1].minor == -1);
	assert_int_equal(r.r[1].access, BPF_DEVCG_ACC_READ | BPF_DEVCG_ACC_WRITE);
	device_rules_done(&r);
	assert_int_equal(device_rules_parse(json("{\"devices\":[{\"allow\":true,\"access\":"
						 "\"rwm\"}]}"),
					    NULL, &r),
			 0);
	assert_true(r.r[0].allow && r.r[0].type == 'a');
	device_rules_done(&r);
	/* One of all types that is not of everything: v1's "a" would allow everything. */
	assert_int_equal(device_rules_parse(json("{\"devices\":[{\"allow\":true,\"access\":"
						 "\"r\"}]}"),
					    NULL, &r),
			 0);
	assert_true(!r.r[0].allow && r.r[0].type == 'a' && r.r[0].access == 7);
	for (size_t i = 1; i < 3; i++) {
		assert_true(r.r[i].allow && r.r[i].type == " bc"[i]);
		assert_int_equal(r.r[i].access, BPF_DEVCG_ACC_READ);
	}
	device_rules_done(&r);
	assert_int_equal(device_rules_parse(json("{\"devices\":[{\"access\":\"x\"}]}"), NULL, &r),
			 -EINVAL);
	err_clear();
}

/* v2's program, asked for real: in a group of its own, by opening devices. */
static int try(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	return fd < 0 ? errno : (fd_close(fd), 0);
}

static void device_program(void **state _unused_)
{
	struct oci_cgroup g = { .n = 0 };
	struct keep a = { 0 };
	struct device_rules r;
	const struct cgroup_folder *v2;
	char name[64];
	pid_t pid;
	int status, fd;

	snprintf(name, sizeof(name), "/strata-oci-test/%d", getpid());
	if (geteuid() || try("/dev/fuse") || oci_cgroup_make(&a, name, &g) < 0 ||
	    !oci_cgroup_of(&g, NULL)) {
		print_message("# SKIP no cgroup v2 to write, or no /dev/fuse\n");
		err_clear();
		oci_cgroup_remove(&g);
		keep_done(&a);
		skip();
	}
	v2 = oci_cgroup_of(&g, NULL);
	assert_int_equal(device_rules_parse(json("{\"devices\":[{\"allow\":false},{\"allow\":true,"
						 "\"type\":\"c\",\"major\":10,\"minor\":229,"
						 "\"access\":\"w\"}]}"),
					    NULL, &r),
			 0);
	assert_int_equal(device_rules_attach(&r, v2->dir), 0);
	/* Anew: the first is replaced. */
	assert_int_equal(device_rules_attach(&r, v2->dir), 0);
	pid = fork();
	if (!pid) {
		char file[256];

		snprintf(file, sizeof(file), "%s/cgroup.procs", v2->dir);
		if (file_write(AT_FDCWD, file, "0") < 0)
			_exit(9);
		/* It may be written, not read; what all may is there. */
		_exit(try("/dev/null") == 0 && try("/dev/fuse") == EPERM ? 0 : 1);
	}
	assert_true(pid > 0 && waitpid(pid, &status, 0) == pid);
	fd = open(v2->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(oci_cgroup_held(fd), 0);
	oci_cgroup_remove(&g);
	/* One that goes while they are listed is no error. */
	assert_int_equal(oci_cgroup_held(fd), 0);
	fd_close(fd);
	for (size_t i = 0; i < g.n; i++) {
		*strrchr((char *)g.f[i].dir, '/') = '\0';
		rmdir(g.f[i].dir);
	}
	assert_int_equal(status, 0);
	device_rules_done(&r);
	keep_done(&a);
}

static void paths(void **state _unused_)
{
	struct keep a = { 0 };

	assert_string_equal(oci_cgroup_path(&a, NULL, "id"), "/strata-oci/id");
	assert_string_equal(oci_cgroup_path(&a, "/x/y", "id"), "/x/y");
	assert_string_equal(oci_cgroup_path(&a, "x", "id"), "/x");
	assert_string_equal(oci_cgroup_path(&a, "machine.slice:libpod:ab", "id"),
			    "/machine.slice/libpod-ab.scope");
	assert_string_equal(oci_cgroup_path(&a, "a-b.slice:cri:ab", "id"),
			    "/a.slice/a-b.slice/cri-ab.scope");
	assert_string_equal(oci_cgroup_path(&a, ":docker:ab", "id"),
			    "/system.slice/docker-ab.scope");
	assert_string_equal(oci_cgroup_path(&a, "-.slice::ab", "id"), "/ab.scope");
	assert_null(oci_cgroup_path(&a, "/x/../y", "id"));
	assert_null(oci_cgroup_path(&a, "a.slice:../x:y", "id"));
	keep_done(&a);
}

static void hierarchies(void **state _unused_)
{
	char info[] = "1 2 0:3 / / rw - ext4 /dev/vda rw\n"
		      "31 23 0:28 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu,cpuacct\n"
		      "32 23 0:29 / /sys/fs/cgroup/systemd rw - cgroup cgroup "
		      "rw,xattr,release_agent=/x,name=systemd\n"
		      "33 23 0:30 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
		      "34 23 0:30 / /elsewhere rw - cgroup2 cgroup2 rw\n"
		      "35 cgroup\n";
	struct keep a = { 0 };
	struct oci_cgroup g;

	assert_int_equal(oci_cgroup_find(&a, info, &g), 0);
	assert_int_equal(g.n, 3);
	assert_string_equal(g.f[0].names, "cpu,cpuacct");
	assert_string_equal(g.f[1].names, "name=systemd");
	assert_ptr_equal(oci_cgroup_of(&g, "cpuacct"), &g.f[0]);
	assert_null(oci_cgroup_of(&g, "cp"));
	assert_ptr_equal(oci_cgroup_of(&g, NULL), &g.f[2]);
	assert_string_equal(g.f[2].mount, "/sys/fs/cgroup/unified");
	keep_done(&a);
}

static int compile(const char *profile, int cache, struct sock_fprog *ret)
{
	struct keep a = { 0 };
	unsigned flags;
	int r = oci_seccomp(&a, json(profile), cache, ret, &flags);

	ret->filter = NULL;
	keep_done(&a);
	return r;
}

static void seccomp(void **state _unused_)
{
	const char *profile = "{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"defaultErrnoRet\":38,"
			      "\"architectures\":[\"SCMP_ARCH_X86_64\",\"SCMP_ARCH_ARM\"],"
			      "\"flags\":[\"SECCOMP_FILTER_FLAG_LOG\"],\"syscalls\":[{\"names\":["
			      "\"read\",\"of_a_newer_kernel\"],\"action\":\"SCMP_ACT_ALLOW\"},{"
			      "\"names\":[\"clone\"],\"action\":\"SCMP_ACT_ALLOW\",\"args\":[{"
			      "\"index\":0,\"value\":5,\"valueTwo\":0,\"op\":"
			      "\"SCMP_CMP_MASKED_EQ\"}]}]}";
	char dir[] = "/tmp/strata-test-XXXXXX";
	struct sock_fprog p = { 0 }, again = { 0 };
	_close_ int cache = -1;

	assert_non_null(mkdtemp(dir));
	cache = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(compile(profile, cache, &p), 0);
	assert_true(p.len > 5);
	/* From the cache, where there is one file now. */
	assert_int_equal(compile(profile, cache, &again), 0);
	assert_int_equal(p.len, again.len);
	assert_int_equal(fd_remove_tree(AT_FDCWD, dir), 0);
	assert_int_equal(compile("{\"defaultAction\":\"SCMP_ACT_NOTIFY\"}", -1, &p), -EINVAL);
	assert_non_null(strstr(err_text(), "not supported"));
	err_clear();
	assert_int_equal(compile("{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"listenerPath\":\"/x\"}",
				 -1, &p),
			 -EINVAL);
	err_clear();
	assert_int_equal(compile("{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"flags\":[\"X\"]}", -1,
				 &p),
			 -EINVAL);
	err_clear();
	/* What a number above it was read as (config.c). */
	assert_int_equal(compile("{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":["
				 "\"kill\"],\"action\":\"SCMP_ACT_ERRNO\",\"args\":[{\"index\":0,"
				 "\"value\":9223372036854775807,\"op\":\"SCMP_CMP_EQ\"}]}]}",
				 -1, &p),
			 -EINVAL);
	assert_non_null(strstr(err_text(), "63 bits"));
	err_clear();
	assert_int_equal(compile("{}", -1, &p), -EINVAL);
	err_clear();
}

static int teardown(void **state _unused_)
{
	json_decref(doc);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory),  cmocka_unit_test(cpu),
		cmocka_unit_test(others),  cmocka_unit_test(refused),
		cmocka_unit_test(rules),   cmocka_unit_test(device_program),
		cmocka_unit_test(paths),   cmocka_unit_test(hierarchies),
		cmocka_unit_test(seccomp),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, teardown);
}
