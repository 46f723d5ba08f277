/* SPDX-License-Identifier: Apache-2.0 */
/* What a container sees of the host: namespaces, users, capabilities, seccomp, cgroups. */
#include "tests/container/box.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/utsname.h>
#include <unistd.h>

static const char *const namespaces[] = { "mnt", "pid", "ipc", "uts", "net", "cgroup" };

static void assert_namespace(const char *name, bool same)
{
	char path[64], ours[64], script[96];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/self/ns/%s", name);
	n = readlink(path, ours, sizeof(ours) - 1);
	assert_true(n > 0);
	ours[n] = '\n';
	snprintf(script, sizeof(script), "readlink /proc/self/ns/%s", name);
	assert_int_equal(box_script(NULL, script), 0);
	assert_int_equal(strncmp(box.out, ours, (size_t)n + 1) == 0, same);
}

static void namespaces_differ(void **state _unused_)
{
	for (size_t i = 0; i < ARRAY_SIZE(namespaces); i++)
		assert_namespace(namespaces[i], false);
	assert_namespace("user", true);
	assert_int_equal(box_script(NULL, "echo $$"), 0);
	assert_out("1\n");
}

static void host_name(void **state _unused_)
{
	struct ctr_spec s = box_spec(NULL);
	struct utsname before, after;

	uname(&before);
	s.hostname = "inside";
	assert_int_equal(box_script(&s, "hostname"), 0);
	assert_out("inside\n");
	uname(&after);
	assert_string_equal(before.nodename, after.nodename);
}

static void network(void **state _unused_)
{
	struct ctr_spec s = box_spec(NULL);
	char ours[64], script[] = "readlink /proc/self/ns/net";
	ssize_t n = readlink("/proc/self/ns/net", ours, sizeof(ours));

	assert_int_equal(box_script(NULL, "ls /sys/class/net; cat /sys/class/net/lo/flags"), 0);
	assert_in_out("lo\n");
	assert_in_out("0x9\n"); /* IFF_UP | IFF_LOOPBACK */
	s.network = CTR_NETWORK_HOST;
	assert_int_equal(box_script(&s, script), 0);
	assert_memory_equal(box.out, ours, (size_t)n);
}

/* A namespace of the caller's, in which the loopback is all there is and is brought up. */
static void joined_network(void **state _unused_)
{
	struct ctr_spec s = box_spec(NULL);
	char theirs[64], script[] = "readlink /proc/self/ns/net; cat /sys/class/net/lo/flags";
	int ours = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	ssize_t n;

	assert_true(ours >= 0);
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	s.network = CTR_NETWORK_JOIN;
	s.netns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	n = readlink("/proc/self/ns/net", theirs, sizeof(theirs));
	assert_int_equal(setns(ours, CLONE_NEWNET), 0);
	assert_int_equal(box_script(&s, script), 0);
	assert_memory_equal(box.out, theirs, (size_t)n);
	assert_in_out("0x9\n");
	close(s.netns);
	close(ours);
}

static int script_as(const char *user, const char *script)
{
	struct ctr_spec s = box_spec(NULL);

	s.user = user;
	return box_script(&s, script);
}

static void users(void **state _unused_)
{
	const char *who = "id -u; id -g; echo $(id -G); echo $HOME";

	assert_int_equal(script_as("", who), 0);
	assert_out("0\n0\n0 10\n/root\n");
	assert_int_equal(script_as("app", who), 0);
	assert_out("1000\n1000\n1000 10 27\n/home/app\n");
	assert_int_equal(script_as("1000", who), 0);
	assert_out("1000\n1000\n1000 10 27\n/home/app\n");
	assert_int_equal(script_as("app:video", who), 0);
	assert_out("1000\n27\n27\n/home/app\n");
	assert_int_equal(script_as("4711:12", who), 0);
	assert_out("4711\n12\n12\n/\n");
	assert_int_equal(script_as("4711", who), 0);
	assert_out("4711\n0\n0\n/\n");
	assert_int_equal(script_as("stranger", who), -EINVAL);
	assert_non_null(strstr(err_take(-EINVAL), "no matching entries in passwd file"));
}

static void assert_caps(const char *user, uint64_t effective)
{
	char expected[256];

	snprintf(expected, sizeof(expected),
		 "CapInh:\t%016llx\nCapPrm:\t%016llx\nCapEff:\t%016llx\n"
		 "CapBnd:\t%016llx\nCapAmb:\t%016llx\n",
		 0ull, (unsigned long long)effective, (unsigned long long)effective, 0xa80425fbull,
		 0ull);
	assert_int_equal(script_as(user, "grep Cap /proc/self/status"), 0);
	assert_out(expected);
}

static void capabilities(void **state _unused_)
{
	assert_caps("", 0xa80425fb);
	assert_caps("app", 0);
}

static void no_capabilities(void **state _unused_)
{
	struct ctr_spec s = box_spec(NULL);

	s.caps = 0;
	s.no_new_privs = false;
	assert_int_equal(box_script(&s, "grep -E 'CapPrm|CapBnd' /proc/self/status"), 0);
	assert_out("CapPrm:\t0000000000000000\nCapBnd:\t0000000000000000\n");
}

static void all_capabilities(void **state _unused_)
{
	struct ctr_spec s = box_spec(NULL);

	s.caps = ~0ull;
	assert_int_equal(box_script(&s, "mount -t tmpfs x /dev/shm && mount | grep -c /dev/shm"),
			 0);
	assert_out("2\n");
}

static void privileges(void **state _unused_)
{
	const char *show = "grep -E '^(NoNewPrivs|Seccomp):' /proc/self/status; umask";
	struct ctr_spec s = box_spec(NULL);

	assert_int_equal(box_script(NULL, show), 0);
	assert_out("NoNewPrivs:\t1\nSeccomp:\t2\n0022\n");
	s.no_new_privs = false;
	assert_int_equal(box_script(&s, show), 0);
	assert_out("NoNewPrivs:\t0\nSeccomp:\t2\n0022\n");
	s = box_spec(NULL);
	s.seccomp = false;
	s.no_new_privs = false;
	assert_int_equal(box_script(&s, show), 0);
	assert_out("NoNewPrivs:\t0\nSeccomp:\t0\n0022\n");
}

static void root_cannot_mount(void **state _unused_)
{
	struct ctr_spec s = box_spec(NULL);

	assert_int_not_equal(box_script(NULL, "mount -t tmpfs x /etc"), 0);
	assert_in_out("ermission denied");
	/* Nor by capability alone. */
	s.seccomp = false;
	assert_int_not_equal(box_script(&s, "mount -t tmpfs x /etc"), 0);
}

static void user_namespace(void **state _unused_)
{
	struct ctr_spec s = box_spec(NULL);

	if (access("/proc/self/ns/user", F_OK))
		skip();
	s.userns = true;
	assert_int_equal(
		box_script(&s,
			   "id -u; cat /proc/self/uid_map; mknod /dev/x c 1 3; echo x > /dev/null"),
		0);
	assert_in_out("0\n         0     100000      65536\n");
	assert_in_out("mknod");
	s = box_spec(NULL);
	s.userns = true;
	s.user = "70000";
	assert_int_equal(box_script(&s, "true"), -EINVAL); /* not mapped */
	err_clear();
	s = box_spec(NULL);
	s.userns = true;
	s.network = CTR_NETWORK_HOST;
	s.tty = true;
	assert_int_equal(box_script(&s, "ls -d /sys/class/net/lo; echo x > /sys/kernel/mm/x"), 1);
	assert_in_out("/sys/class/net/lo");
}

/* A cgroup of version 2 to make our own in, or -1. */
static int open_cgroup2(void)
{
	static const char *const places[] = { "/sys/fs/cgroup", "/sys/fs/cgroup/unified" };

	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		int fd = open(places[i], O_PATH | O_DIRECTORY | O_CLOEXEC);

		if (fd >= 0 && !faccessat(fd, "cgroup.controllers", F_OK, 0))
			return fd;
		fd_close(fd);
	}
	return -1;
}

static void into_cgroup(void **state _unused_)
{
	struct ctr_spec s = box_spec(NULL);
	_close_ int top = open_cgroup2();
	char name[64];
	int r;

	snprintf(name, sizeof(name), "strata-test-%d", getpid());
	if (top < 0 || mkdirat(top, name, 0755) < 0) {
		fd_close(s.root_mount);
		skip();
	}
	s.cgroup_fd = openat(top, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_true(s.cgroup_fd >= 0);
	r = box_script(&s, "grep ^0: /proc/self/cgroup; mkdir /sys/fs/cgroup/x");
	fd_close(s.cgroup_fd);
	while (unlinkat(top, name, AT_REMOVEDIR) < 0 && errno == EBUSY)
		usleep(1000);
	assert_int_equal(r, 1);
	/* Its own is its root, and read-only. */
	assert_memory_equal(box.out, "0::/\n", 5);
	assert_in_out("Read-only");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(namespaces_differ),
		cmocka_unit_test(host_name),
		cmocka_unit_test(network),
		cmocka_unit_test(joined_network),
		cmocka_unit_test(users),
		cmocka_unit_test(capabilities),
		cmocka_unit_test(no_capabilities),
		cmocka_unit_test(all_capabilities),
		cmocka_unit_test(privileges),
		cmocka_unit_test(root_cannot_mount),
		cmocka_unit_test(user_namespace),
		cmocka_unit_test(into_cgroup),
	};

	if (box_skips())
		return 0;
	return cmocka_run_group_tests_name("isolation", tests, box_setup, box_teardown);
}
