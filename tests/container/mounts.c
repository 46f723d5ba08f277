/* SPDX-License-Identifier: Apache-2.0 */
/* The file systems that a container sees, and images that try to divert them. */
#include "tests/container/box.h"

static int script_with(const char *source, const char *target, bool rdonly, const char *script)
{
	struct ctr_spec s = box_spec(NULL);
	struct ctr_mount m = { source, target, rdonly };

	s.mounts = &m;
	s.nmounts = 1;
	return box_script(&s, script);
}

static const char *outside(const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/outside%s", box.dir, name);
	return path;
}

static void defaults(void **state _unused_)
{
	static const char *const lines[] = {
		"proc on /proc type proc (rw,nosuid,nodev,noexec,",
		"sysfs on /sys type sysfs (ro,nosuid,nodev,noexec,",
		"tmpfs on /dev type tmpfs (rw,nosuid,nodev,",
		"devpts on /dev/pts type devpts (rw,nosuid,noexec,",
		"shm on /dev/shm type tmpfs (rw,nosuid,nodev,noexec,",
		"mqueue on /dev/mqueue type mqueue (rw,nosuid,nodev,noexec,",
		" on /proc/sys type proc (ro,nosuid,nodev,noexec,",
		" on / type tmpfs (rw,nodev,",
	};

	assert_int_equal(box_script(NULL, "mount"), 0);
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
		assert_in_out(lines[i]);
	/* Nothing of the host's tree. */
	assert_null(strstr(box.out, box.dir));
}

static void masked(void **state _unused_)
{
	assert_int_equal(
		box_script(NULL,
			   "cat /proc/keys /proc/timer_list /proc/interrupts /proc/kcore 2>&1 |"
			   " grep -v 'No such' | wc -c; ls /sys/firmware | wc -l"),
		0);
	assert_out("0\n0\n");
}

static void read_only(void **state _unused_)
{
	assert_int_equal(box_script(NULL, "echo x > /proc/sys/kernel/hostname"), 1);
	assert_in_out("Read-only");
	assert_int_equal(box_script(NULL, "mkdir /sys/x 2>&1; echo 0 > /proc/self/oom_score_adj"),
			 0);
	assert_in_out("Read-only");
}

static void read_only_root(void **state _unused_)
{
	struct ctr_spec s = box_spec(NULL);

	s.root_rdonly = true;
	s.cwd = "/made/before/sealing";
	assert_int_equal(box_script(&s, "touch /x 2>&1; echo y > /dev/shm/y; cat /dev/shm/y; pwd"),
			 0);
	assert_in_out("Read-only");
	assert_in_out("y\n/made/before/sealing\n");
}

static void devices(void **state _unused_)
{
	assert_int_equal(box_script(NULL,
				    "echo $(ls /dev); cat /dev/null; test -c /dev/tty; "
				    "cat /dev/zero | test -r /dev/urandom; echo x > /dev/full"),
			 1);
	assert_in_out(
		"fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero\n");
	assert_in_out("No space");
}

/* docker's default capabilities have MKNOD; a node that can be made must not be one. */
static void made_devices_are_none(void **state _unused_)
{
	assert_int_equal(box_script(NULL, "mknod /dev/z c 1 5 && cat /dev/z"), 1);
	assert_in_out("ermission denied");
	assert_int_equal(box_script(NULL, "mknod /z c 1 5 && cat /z"), 1);
	assert_in_out("ermission denied");
	assert_int_equal(script_with(outside(""), "/v", false, "mknod /v/z c 1 5 && cat /v/z"), 1);
	assert_in_out("ermission denied");
}

static void binds(void **state _unused_)
{
	assert_int_equal(script_with(outside(""), "/vol/deep", false, "echo x > /vol/deep/file"),
			 0);
	assert_int_equal(access(outside("/file"), F_OK), 0);
	assert_int_equal(script_with(outside(""), "/vol/deep", true,
				     "cat /vol/deep/file; echo y > /vol/deep/file"),
			 1);
	assert_in_out("x\n");
	assert_in_out("Read-only");
	assert_int_equal(script_with(outside("/file"), "/a/b/single", true, "cat /a/b/single"), 0);
	assert_out("x\n");
	assert_int_equal(script_with(NULL, "/scratch", false,
				     "stat -c %a /scratch; echo x > /scratch/x"),
			 0);
	assert_out("1777\n");
}

static void resolver(void **state _unused_)
{
	struct ctr_spec s = box_spec(NULL);

	assert_int_equal(symlinkat("../run/there/resolv.conf", box.root, "etc/resolv.conf"), 0);
	s.resolv_conf = outside("/file");
	assert_int_equal(
		box_script(&s,
			   "cat /etc/resolv.conf /run/there/resolv.conf; echo > /etc/resolv.conf"),
		1);
	assert_in_out("x\nx\n");
	assert_in_out("Read-only");
}

/* Files of its own, over those of the image, which stay; nowhere where the image has no place. */
static void own_files(void **state _unused_)
{
	static const struct ctr_file files[] = { { "/etc/own", "own text\n" },
						 { "/etc/made", "made\n" },
						 { "/etc/lost/file", "lost\n" },
						 { "/etc/diverted", "diverted\n" } };
	struct ctr_spec s = box_spec(NULL);

	box_write("etc/own", "the image's\n", 0644);
	box_write("etc/lost", "a file\n", 0644);
	assert_int_equal(symlinkat("/proc/self/comm", box.root, "etc/diverted"), 0);
	s.files = files;
	s.nfiles = ARRAY_SIZE(files);
	assert_int_equal(
		box_script(&s,
			   "cat /etc/own /etc/made /etc/lost /etc/diverted;"
			   "test ! -e /dev/.file || exit 9; echo more >> /etc/own; cat /etc/own"),
		0);
	assert_out("own text\nmade\na file\ncat\nown text\nmore\n");
	assert_int_equal(box_script(NULL, "cat /etc/own; test ! -s /etc/made"), 0);
	assert_out("the image's\n");
}

/* Links in the image end inside the image. */
static void links_stay_inside(void **state _unused_)
{
	char inside[320];

	assert_int_equal(symlinkat(outside(""), box.root, "escape"), 0);
	assert_int_equal(symlinkat("../../../../../../../tmp", box.root, "climb"), 0);
	assert_int_equal(script_with(NULL, "/escape/new", false, "true"), 0);
	assert_int_equal(access(outside("/new"), F_OK), -1);
	snprintf(inside, sizeof(inside), "%s/root%s/new", box.dir, outside(""));
	assert_int_equal(access(inside, F_OK), 0);
	assert_int_equal(script_with(NULL, "/climb/new", false, "ls -d /tmp/new"), 0);
	assert_int_equal(access("/tmp/new", F_OK), -1);
	assert_int_equal(symlinkat("loop", box.root, "loop"), 0);
	assert_int_equal(script_with(NULL, "/loop/x", false, "true"), -ELOOP);
	err_clear();
	assert_int_equal(script_with(NULL, "/nosuch/../../x", false, "true"), -ENOENT);
	err_clear();
	/* The root itself: only who joins later would see what lies on it. */
	assert_int_equal(symlinkat("/", box.root, "top"), 0);
	assert_int_equal(script_with(outside(""), "/top", false, "true"), -EPERM);
	err_clear();
}

/* Fake file systems (CVE-2019-19921) and volumes led over the real ones. */
static void proc_is_proc(void **state _unused_)
{
	assert_int_equal(symlinkat("/proc/sys", box.root, "data"), 0);
	assert_int_equal(script_with(outside(""), "/data", false, "true"), -EPERM);
	err_clear();
	assert_int_equal(unlinkat(box.root, "proc", AT_REMOVEDIR), 0);
	assert_int_equal(mkdirat(box.root, "fake", 0755), 0);
	assert_int_equal(symlinkat("fake", box.root, "proc"), 0);
	assert_int_equal(box_script(NULL, "true"), -ENOTDIR);
	err_clear();
	assert_int_equal(unlinkat(box.root, "proc", 0), 0);
	assert_int_equal(box_script(NULL, "true"), 0);
}

static void attached_root(void **state _unused_)
{
	struct ctr_spec s = box_spec(NULL);

	fd_close(s.root_mount);
	s.root_mount = fcntl(box.root, F_DUPFD_CLOEXEC, 3);
	assert_int_equal(box_script(&s, "test -x /bin/busybox"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults),	cmocka_unit_test(masked),
		cmocka_unit_test(read_only),	cmocka_unit_test(read_only_root),
		cmocka_unit_test(devices),	cmocka_unit_test(made_devices_are_none),
		cmocka_unit_test(binds),	cmocka_unit_test(resolver),
		cmocka_unit_test(own_files),	cmocka_unit_test(links_stay_inside),
		cmocka_unit_test(proc_is_proc), cmocka_unit_test(attached_root),
	};

	if (box_skips())
		return 0;
	return cmocka_run_group_tests_name("mounts", tests, box_setup, box_teardown);
}
