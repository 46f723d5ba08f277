/* SPDX-License-Identifier: Apache-2.0 */
/* A container as another program describes it: nothing but what is given is there. */
#include "tests/container/box.h"

#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>

static const struct ctr_namespace fresh[] = {
	{ CLONE_NEWNS, -1 },  { CLONE_NEWPID, -1 }, { CLONE_NEWIPC, -1 },
	{ CLONE_NEWUTS, -1 }, { CLONE_NEWNET, -1 },
};

static struct ctr_given given(void)
{
	return (struct ctr_given){
		.namespaces = fresh,
		.nnamespaces = ARRAY_SIZE(fresh),
		.umask = 022,
		.gate = -1,
	};
}

static int run(struct ctr_given *g, const char *script)
{
	char *const argv[] = { (char *)"/bin/sh", (char *)"-c", (char *)script, NULL };
	static char *const env[] = { (char *)"HOME=/", NULL };
	struct ctr_spec s = box_spec(argv);
	int empty = fd_memfd("stdin", NULL, 0), r;

	assert_true(empty >= 0);
	s.given = g;
	s.env = env;
	s.stdio[0] = empty;
	r = box_run(&s);
	fd_close(empty);
	return r;
}

static void nothing_goes_without_saying(void **state _unused_)
{
	struct ctr_given g = given();

	assert_int_equal(run(&g, "echo $$; ls /; test -e /proc/self || echo none"), 0);
	assert_out("1\nbin\netc\nnone\n");
	g.nnamespaces = 0;
	assert_int_equal(run(&g, "true"), -EINVAL);
	err_clear();
}

static void mounts_in_order(void **state _unused_)
{
	const struct ctr_given_mount mounts[] = {
		{ .target = "/t", .type = "tmpfs", .source = "t", .flags = MS_RDONLY },
		{ .target = "/t/proc", .type = "proc", .source = "proc" },
		{ .target = "/t/b", .source = "/proc", .recursive = true },
		{ .target = "/t/etc", .type = "tmpfs", .source = "e" },
	};
	const struct ctr_link links[] = { { "/t/link", "there" } };
	char *const masked[] = { (char *)"/t/proc/version", (char *)"/t/proc/fs", (char *)"/nosuch",
				 NULL };
	char *const rdonly[] = { (char *)"/t/etc", NULL };
	struct ctr_given g = given();

	g.mounts = mounts;
	g.nmounts = ARRAY_SIZE(mounts);
	g.links = links;
	g.nlinks = ARRAY_SIZE(links);
	g.masked = masked;
	g.rdonly = rdonly;
	assert_int_equal(
		run(&g, "readlink /t/link; cat /t/proc/1/comm; cat /t/proc/version; ls /t/proc/fs;"
			"touch /t/x; touch /t/etc/x; test -d /t/b/sys && echo bound"),
		0);
	assert_in_out("there\nsh\n");
	assert_null(strstr(box.out, "Linux"));
	assert_in_out("/t/x: Read-only");
	assert_in_out("/t/etc/x: Read-only");
	assert_in_out("bound\n");
	assert_int_equal(unlinkat(box.root, "t", AT_REMOVEDIR), 0);
}

/* What is there and cannot be masked is not left open (CVE-2025-31133): no null device here. */
static void masked_or_not_run(void **state _unused_)
{
	char *const masked[] = { (char *)"/etc/group", NULL };
	struct ctr_given g = given();

	g.masked = masked;
	assert_int_equal(run(&g, "cat /etc/group"), 0);
	assert_out("");
	assert_int_equal(mount("tmpfs", "/dev", "tmpfs", 0, NULL), 0);
	assert_true(run(&g, "cat /etc/group") < 0);
	assert_int_equal(umount("/dev"), 0);
	assert_non_null(strstr(err_text(), "/dev/null"));
	err_clear();
}

/* Into one that is there, with others that are new and its; without a control group. */
static void user_namespace_that_is_there(void **state _unused_)
{
	const struct ctr_given_mount proc = { .target = "/proc", .type = "proc", .source = "p" };
	struct ctr_namespace all[ARRAY_SIZE(fresh) + 1];
	struct ctr_given g = given();
	char path[40], link[40], script[128];
	pid_t pid = fork();
	ssize_t n;

	if (!pid)
		_exit(unshare(CLONE_NEWUSER) < 0 || raise(SIGSTOP) ? 1 : 0);
	assert_int_equal(waitpid(pid, NULL, WUNTRACED), pid);
	for (int i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "/proc/%d/%s", pid, i ? "uid_map" : "gid_map");
		assert_int_equal(file_write(AT_FDCWD, path, "0 0 65536"), 0);
	}
	snprintf(path, sizeof(path), "/proc/%d/ns/user", pid);
	n = readlink(path, link, sizeof(link) - 1);
	assert_true(n > 0);
	link[n] = '\0';
	memcpy(all, fresh, sizeof(fresh));
	all[ARRAY_SIZE(fresh)] =
		(struct ctr_namespace){ CLONE_NEWUSER, open(path, O_RDONLY | O_CLOEXEC) };
	g.namespaces = all;
	g.nnamespaces = ARRAY_SIZE(all);
	g.mounts = &proc;
	g.nmounts = 1;
	snprintf(script, sizeof(script), "test $(readlink /proc/self/ns/user) = '%s'; echo $? $$",
		 link);
	assert_int_equal(run(&g, script), 0);
	assert_out("0 1\n");
	fd_close(all[ARRAY_SIZE(fresh)].fd);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void links_of_the_image(void **state _unused_)
{
	const struct ctr_given_mount proc = { .target = "/lproc", .type = "proc", .source = "p" };
	const struct ctr_device null = { "/ldev/null", S_IFCHR | 0600, makedev(1, 3), 7, 8 };
	struct ctr_given g = given();
	struct stat st;

	assert_int_equal(symlinkat("/etc", box.root, "lproc"), 0);
	assert_int_equal(symlinkat("../../../../etc", box.root, "ldev"), 0);
	g.mounts = &proc;
	g.nmounts = 1;
	assert_true(run(&g, "true") < 0);
	assert_non_null(strstr(err_text(), "not a directory of the image's root"));
	err_clear();
	g.nmounts = 0;
	g.devices = &null;
	g.ndevices = 1;
	assert_int_equal(run(&g, "stat -c '%a %u %t:%T' /etc/null"), 0);
	assert_out("600 7 1:3\n");
	assert_int_equal(fstatat(box.root, "etc/null", &st, 0), 0);
	assert_int_equal(unlinkat(box.root, "etc/null", 0), 0);
	assert_int_equal(unlinkat(box.root, "lproc", 0), 0);
	assert_int_equal(unlinkat(box.root, "ldev", 0), 0);
}

static void who_it_is(void **state _unused_)
{
	const struct ctr_given_mount proc = { .target = "/proc", .type = "proc", .source = "p" };
	const gid_t groups[] = { 30, 31 };
	const uint64_t kill_cap = 1ull << CAP_KILL;
	struct ctr_given g = given();

	g.mounts = &proc;
	g.nmounts = 1;
	g.uid = 5;
	g.gid = 6;
	g.groups = groups;
	g.ngroups = 2;
	g.umask = 0177;
	g.caps = (struct ctr_caps){ kill_cap, kill_cap, kill_cap, kill_cap, kill_cap };
	assert_int_equal(run(&g, "id -u; id -g; id -G; umask; grep Cap /proc/self/status"), 0);
	assert_in_out("5\n6\n6 30 31\n0177\n");
	assert_in_out("CapAmb:\t0000000000000020");
	assert_in_out("CapBnd:\t0000000000000020");
}

static int gate_of(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int s = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	str_copy(a.sun_path, sizeof(a.sun_path), path);
	assert_int_equal(bind(s, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(s, 1), 0);
	return s;
}

static int connect_to(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int s = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	str_copy(a.sun_path, sizeof(a.sun_path), path);
	assert_int_equal(connect(s, (struct sockaddr *)&a, sizeof(a)), 0);
	return s;
}

/* Its maker forgets it; somebody else lets it go, or comes and goes without a word. */
static void at_the_gate(void **state _unused_)
{
	char *const argv[] = { (char *)"/bin/sh", (char *)"-c", (char *)"exit 9", NULL };

	for (int word = 0; word < 2; word++) {
		struct ctr_spec s = box_spec(argv);
		struct ctr_given g = given();
		char path[80];
		int conn, pidfd, status;
		struct ctr *c;

		snprintf(path, sizeof(path), "%s/gate", box.dir);
		g.gate = gate_of(path);
		s.given = &g;
		s.stdio[0] = s.stdio[1] = s.stdio[2] = 1;
		assert_int_equal(ctr_create(&s, &c), 0);
		pidfd = fcntl(ctr_pidfd(c), F_DUPFD_CLOEXEC, 3);
		ctr_free(c);
		fd_close(g.gate);
		assert_int_equal(poll(&(struct pollfd){ pidfd, POLLIN, 0 }, 1, 50), 0);
		conn = connect_to(path);
		if (word)
			assert_int_equal(ctr_start_at(conn), 0);
		fd_close(conn);
		assert_int_equal(proc_wait(pidfd, &status), 0);
		assert_int_equal(status, word ? 9 : 125);
		fd_close(pidfd);
		fd_close(s.root_mount);
		unlink(path);
	}
}

/* Known before it is started, as engines want it. */
static void no_such_command(void **state _unused_)
{
	char *const argv[] = { (char *)"nosuch", NULL };
	struct ctr_spec s = box_spec(argv);
	struct ctr_given g = given();
	struct ctr *c;

	s.given = &g;
	s.stdio[0] = s.stdio[1] = s.stdio[2] = 1;
	assert_int_equal(ctr_create(&s, &c), -ENOENT);
	assert_non_null(strstr(err_text(), "executable file not found in $PATH"));
	err_clear();
	fd_close(s.root_mount);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_goes_without_saying),
		cmocka_unit_test(mounts_in_order),
		cmocka_unit_test(masked_or_not_run),
		cmocka_unit_test(user_namespace_that_is_there),
		cmocka_unit_test(links_of_the_image),
		cmocka_unit_test(who_it_is),
		cmocka_unit_test(at_the_gate),
		cmocka_unit_test(no_such_command),
	};

	if (box_skips())
		return 0;
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, box_setup, box_teardown);
}
