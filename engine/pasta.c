/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/pasta.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/proc.h"
#include "base/str.h"
#include "network/network.h"
#include "engine/passt.h"
#include "engine/publish.h"
#include "engine/vmm.h"
#include <grp.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

#define DEV_NET "/dev/net"
#define DEV_TUN DEV_NET "/tun"
#define SOCK_FD 3 /* in the holder; 0 and 1 are /dev/null, 2 is the log */

enum { TUN_MAJOR = 10, TUN_MINOR = 200 }; /* Linux: Documentation/admin-guide/devices.txt */

/* From the holder: a negative errno and its text, or pasta's exit status, 0 with the namespace. */
struct answer {
	int32_t error, status;
	char text[200];
};

/* ---- what pasta is told ---- */

static bool publishes(const struct run_spec *spec, bool udp)
{
	struct publish p;

	for (size_t i = 0; i < strv_len(spec->ports); i++)
		if (publish_parse(spec->ports[i], &p) == 0 && p.udp == udp)
			return true;
	return false;
}

/* The holder is process 1 of the /proc that pasta sees. */
static int arguments(const struct run_spec *spec, char ***argv)
{
	uint8_t m[NETWORK_MAC_LEN];
	char mac[3 * NETWORK_MAC_LEN];
	const char *const words[] = {
		"pasta",
		"--userns",
		"/proc/1/ns/user",
		"--netns",
		"/proc/1/ns/net",
		"--config-net",
		"--ns-ifname",
		"eth0",
		"--ns-mac-addr",
		mac,
		"--ipv4-only",
		"--tcp-ns",
		"none",
		"--udp-ns",
		"none",
		"--no-netns-quit",
	};
	int r = 0;

	network_mac(spec->id, m);
	snprintf(mac, sizeof(mac), "%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4],
		 m[5]);
	for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(words); i++)
		r = strv_add(argv, words[i]);
	/* Its default is every port that the container listens on. */
	for (int udp = 0; r >= 0 && udp < 2; udp++) {
		if (publishes(spec, udp))
			continue;
		r = strv_add(argv, udp ? "--udp-ports" : "--tcp-ports");
		if (r >= 0)
			r = strv_add(argv, "none");
	}
	return r < 0 ? r : passt_add_words(spec, argv);
}

/* ---- the holder ---- */

struct holder {
	const char *path;
	char **argv;
	uid_t uid;
	bool userns; /* we are in one, where nobody makes devices */
	int sock, log_fd;
};

static int take_fds(struct holder *h)
{
	int sock = fcntl(h->sock, F_DUPFD, SOCK_FD + 1);
	int log = fcntl(h->log_fd, F_DUPFD, SOCK_FD + 1);
	int null = open("/dev/null", O_RDWR);

	if (sock < 0 || log < 0 || null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 ||
	    dup2(log, 2) < 0 || dup3(sock, SOCK_FD, O_CLOEXEC) < 0 ||
	    close_range(SOCK_FD + 1, ~0u, 0) < 0)
		return err_sys("descriptors");
	return 0;
}

/* Our own /proc, whose process 1 we are, and a tun device that a user may open wherever we run. */
static int make_mounts(const struct holder *h)
{
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
		return err_sys("cannot mount /proc");
	if (access(DEV_NET, F_OK) < 0)
		return err(-EOPNOTSUPP, "this host has no " DEV_TUN);
	/* The host's is for every user then, or for none. */
	if (h->userns)
		return 0;
	if (mount("tmpfs", DEV_NET, "tmpfs", MS_NOSUID | MS_NOEXEC, "mode=755") < 0 ||
	    mknod(DEV_TUN, S_IFCHR | 0666, makedev(TUN_MAJOR, TUN_MINOR)) < 0 ||
	    chmod(DEV_TUN, 0666) < 0)
		return err_sys("cannot make " DEV_TUN);
	return 0;
}

static int become(uid_t uid)
{
	if (setgroups(0, NULL) < 0 || setresgid(uid, uid, uid) < 0 || setresuid(uid, uid, uid) < 0)
		return err_sys("cannot become user %u", (unsigned)uid);
	/* After the change of user, which would undo it; who is gone by now will not answer us. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return err_sys("cannot follow the parent's death");
	/* Until pasta has opened our namespaces. */
	return prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) < 0 ? err_sys("prctl") : 0;
}

/* pasta, which begins when @go ends: it stays in the host's namespaces, and the others are ours. */
static _Noreturn void begin(const struct holder *h, const int go[2])
{
	char *const env[] = { NULL };
	char byte;

	fd_close(go[1]);
	while (read(go[0], &byte, 1) < 0 && errno == EINTR)
		;
	execve(h->path, h->argv, env);
	_exit(127);
}

/* It goes into the background when it is ready: what we started ends with 0 then. */
static int start(const struct holder *h, int *ret_status)
{
	int go[2], status, r = 0;
	pid_t pid;

	if (pipe2(go, O_CLOEXEC) < 0)
		return err_sys("pipe");
	pid = fork();
	if (pid == 0)
		begin(h, go);
	fd_close(go[0]);
	if (pid < 0 || unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
		r = err_sys("cannot make a network namespace");
	fd_close(go[1]);
	while (r >= 0 && waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			r = err_sys("pasta");
	if (r >= 0)
		*ret_status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	return r;
}

static int hold(struct holder *h, int *ret_status, int *ret_netns)
{
	int r = take_fds(h);

	if (r >= 0)
		r = make_mounts(h);
	if (r >= 0)
		r = become(h->uid);
	if (r >= 0)
		r = start(h, ret_status);
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	if (r < 0)
		return r;
	*ret_netns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	return *ret_netns < 0 ? err_sys("network namespace") : 0;
}

/* Its end is the end of all that is in its pid namespace. */
static _Noreturn void holder_main(struct holder *h)
{
	struct answer a = { 0 };
	int netns = -1;
	sigset_t none;

	prctl(PR_SET_NAME, "strata-network");
	signal(SIGPIPE, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	a.error = hold(h, &a.status, &netns);
	if (a.error < 0)
		snprintf(a.text, sizeof(a.text), "%s", err_take(a.error));
	if (fd_send(SOCK_FD, &a, sizeof(a), &netns, netns >= 0) < 0 || a.error || a.status)
		_exit(1);
	close_range(0, ~0u, 0);
	while (wait(NULL) > 0 || errno == EINTR)
		;
	_exit(0);
}

/* ---- our side ---- */

static int clone_holder(struct holder *h, struct pasta *p)
{
	struct clone_args a = { .flags = CLONE_NEWPID | CLONE_NEWNS | CLONE_PIDFD,
				.pidfd = (uintptr_t)&p->pidfd,
				.exit_signal = SIGCHLD };
	long pid = syscall(SYS_clone3, &a, sizeof(a));

	if (pid < 0)
		return err_sys("cannot start the holder of a network");
	if (pid == 0)
		holder_main(h);
	return 0;
}

static int hear(int sock, struct pasta *p)
{
	struct answer a;
	size_t nfds = 0;

	if (fd_recv(sock, &a, sizeof(a), &p->netns, 1, &nfds) != sizeof(a))
		return err(-EIO, "the holder of the network ended");
	a.text[sizeof(a.text) - 1] = '\0';
	if (a.error < 0)
		return err(a.error, "network 'user': %s", a.text);
	return a.status ? passt_failed("pasta", a.status) : 0;
}

int pasta_start(const struct run_spec *spec, int log_fd, struct pasta *ret)
{
	_strv_free_ char **argv = NULL;
	_free_ char *path = NULL;
	struct holder h = { .uid = vmm_uid(spec), .userns = spec->ids != 0, .log_fd = log_fd };
	struct pasta p = PASTA_NONE;
	int pair[2], r = passt_find("pasta", &path);

	if (r >= 0)
		r = arguments(spec, &argv);
	if (r < 0)
		return r;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys("network socket");
	h.path = path;
	h.argv = argv;
	h.sock = pair[1];
	r = clone_holder(&h, &p);
	fd_close(pair[1]);
	if (r >= 0)
		r = hear(pair[0], &p);
	fd_close(pair[0]);
	if (r < 0)
		pasta_end(&p);
	else
		*ret = p;
	return r;
}

void pasta_end(struct pasta *p)
{
	if (p->pidfd >= 0) {
		proc_pidfd_kill(p->pidfd, SIGKILL);
		proc_wait(p->pidfd, NULL);
	}
	fd_close(p->pidfd);
	fd_close(p->netns);
	*p = PASTA_NONE;
}
