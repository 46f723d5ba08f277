/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/runtime/fixture.h"

#include "base/loop.h"
#include <sched.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>

#define MIB (1u << 20)

static void test_exit_code(void **state)
{
	struct fixture *f = *state;
	struct inst *i = make_inst(f, "one", NULL);
	struct monitor m = monitor_start(i, "exit 7", (struct monitor_options)MONITOR_DETACHED);
	struct run_report report;
	struct inst_state s;

	assert_int_equal(monitor_report(&m).kind, RUN_STARTED);
	report = monitor_report(&m);
	assert_int_equal(report.kind, RUN_EXITED);
	assert_int_equal(report.code, 7);
	assert_int_equal(monitor_end(&m), 7);
	s = state_of(i);
	assert_int_equal(s.status, INST_STOPPED);
	assert_int_equal(s.exit_code, 7);
	assert_int_equal(s.pid, 0);
	assert_int_equal(s.monitor, m.pid);
	assert_true(s.started.tv_sec >= s.created.tv_sec);
	assert_true(s.finished.tv_sec >= s.started.tv_sec);
	assert_string_equal(s.error, "");
	assert_false(s.oom_killed);
	inst_close(i);
}

static void test_signalled(void **state)
{
	struct fixture *f = *state;
	struct inst *i = make_inst(f, "one", NULL);
	struct monitor m =
		monitor_start(i, "kill -USR1 $$", (struct monitor_options)MONITOR_DETACHED);

	assert_int_equal(monitor_end(&m), 128 + SIGUSR1);
	assert_int_equal(state_of(i).exit_code, 128 + SIGUSR1);
	inst_close(i);
}

static void test_create_fails(void **state)
{
	struct fixture *f = *state;
	struct inst *i = make_inst(f, "one", NULL);
	struct monitor m = monitor_start(
		i, "", (struct monitor_options){ .fail_create = true, .stdio = { -1, -1, -1 } });
	struct run_report report = monitor_report(&m);
	struct inst_state s;

	assert_int_equal(report.kind, RUN_FAILED);
	assert_int_equal(report.code, -EINVAL);
	assert_string_equal(report.text, "this one shall fail");
	assert_int_equal(monitor_end(&m), 250);
	s = state_of(i);
	assert_int_equal(s.status, INST_STOPPED);
	assert_int_equal(s.exit_code, 125);
	assert_string_equal(s.error, "this one shall fail");
	assert_int_equal(s.started.tv_sec, 0);
	inst_close(i);
}

static void test_start_fails(void **state)
{
	struct fixture *f = *state;
	struct inst *i = make_inst(f, "one", NULL);
	struct monitor m = monitor_start(i, "sleep 100",
					 (struct monitor_options){ .fail_start = true,
								   .logged = true,
								   .stdio = { -1, -1, -1 } });
	struct run_report report = monitor_report(&m);

	assert_int_equal(report.kind, RUN_FAILED);
	assert_int_equal(report.code, -ENOENT);
	assert_int_equal(monitor_end(&m), 250);
	assert_int_equal(state_of(i).exit_code, 127);
	inst_close(i);
}

static void test_second_supervisor(void **state)
{
	struct fixture *f = *state;
	struct inst *i = make_inst(f, "one", NULL);
	struct monitor m = monitor_start(i, "sleep 100", (struct monitor_options)MONITOR_DETACHED);
	struct supervise v = { .inst = i, .iso = &script_isolation, .report_fd = -1 };

	assert_int_equal(monitor_report(&m).kind, RUN_STARTED);
	assert_int_equal(supervise(&v), -EBUSY);
	err_clear();
	assert_int_equal(inst_recover(i), -EBUSY);
	assert_int_equal(inst_delete(i), -EBUSY);
	err_clear();
	assert_int_equal(inst_kill(i, SIGKILL), 0);
	assert_int_equal(monitor_end(&m), 137);
	inst_close(i);
}

/* The command holds the client's own descriptors. */
static void test_direct(void **state)
{
	struct fixture *f = *state;
	struct inst *i = make_inst(f, "one", NULL);
	int in[2], out[2], errs[2];
	_free_ char *text = NULL, *error = NULL;
	struct monitor m;

	assert_int_equal(pipe2(in, O_CLOEXEC) | pipe2(out, O_CLOEXEC) | pipe2(errs, O_CLOEXEC), 0);
	m = monitor_start(i, "cat; echo error >&2",
			  (struct monitor_options){ .stdio = { in[0], out[1], errs[1] } });
	close(in[0]);
	close(out[1]);
	close(errs[1]);
	assert_int_equal(write(in[1], "hello\n", 6), 6);
	close(in[1]);
	text = slurp(out[0], NULL);
	error = slurp(errs[0], NULL);
	assert_string_equal(text, "hello\n");
	assert_string_equal(error, "error\n");
	assert_int_equal(monitor_end(&m), 0);
	assert_int_not_equal(faccessat(inst_dirfd(i), "log", F_OK, 0), 0);
	close(out[0]);
	close(errs[0]);
	inst_close(i);
}

/*
 * Reads both to their ends at once; stops for a while in the middle, which the command has to bear.
 */
static void read_both(const int fds[2], char *data[2], size_t len[2])
{
	struct pollfd p[2] = { { fds[0], POLLIN, 0 }, { fds[1], POLLIN, 0 } };
	bool paused = false;

	while (p[0].fd >= 0 || p[1].fd >= 0) {
		assert_true(poll(p, 2, 20000) > 0);
		for (int k = 0; k < 2; k++) {
			ssize_t n;

			if (!p[k].revents)
				continue;
			n = read(fds[k], data[k] + len[k], 2 * MIB - len[k]);
			assert_true(n >= 0);
			len[k] += (size_t)n;
			if (n == 0)
				p[k].fd = -1;
		}
		if (!paused && len[0] > 100000) {
			usleep(200000);
			paused = true;
		}
	}
}

static void check_numbers(const char *data, size_t len)
{
	size_t off = 0;

	for (int n = 1; off < len; n++) {
		char line[16];
		int l = snprintf(line, sizeof(line), "%d\n", n);

		assert_true(off + (size_t)l <= len);
		assert_memory_equal(data + off, line, (size_t)l);
		off += (size_t)l;
	}
}

static void test_tee(void **state)
{
	struct fixture *f = *state;
	struct inst *i = make_inst(f, "one", NULL);
	int out[2], errs[2], logs[2];
	_free_ char *a = malloc(2 * MIB), *b = malloc(2 * MIB), *c = NULL, *d = NULL;
	size_t len[2] = { 0 }, clen, dlen;
	struct monitor m;

	assert_int_equal(pipe2(out, O_CLOEXEC) | pipe2(errs, O_CLOEXEC), 0);
	/* 1,188,896 and 1,188,903 bytes. */
	m = monitor_start(i, "seq 200000 & seq 200001 >&2; wait",
			  (struct monitor_options){ .logged = true,
						    .stdio = { -1, out[1], errs[1] } });
	close(out[1]);
	close(errs[1]);
	read_both((int[]){ out[0], errs[0] }, (char *[]){ a, b }, len);
	assert_int_equal(monitor_end(&m), 0);
	assert_true(len[0] > MIB && len[1] > MIB);
	check_numbers(a, len[0]);
	check_numbers(b, len[1]);
	assert_memory_equal(b + len[1] - 7, "200001\n", 7);

	logs[0] = fd_memfd("out", NULL, 0);
	logs[1] = fd_memfd("err", NULL, 0);
	assert_int_equal(inst_logs(i, false, false, -1, logs[0], logs[1]), 0);
	lseek(logs[0], 0, SEEK_SET);
	lseek(logs[1], 0, SEEK_SET);
	c = slurp(logs[0], &clen);
	d = slurp(logs[1], &dlen);
	assert_int_equal(clen, len[0]);
	assert_int_equal(dlen, len[1]);
	assert_memory_equal(a, c, clen);
	assert_memory_equal(b, d, dlen);
	for (int k = 0; k < 2; k++)
		close(logs[k]);
	close(out[0]);
	close(errs[0]);
	inst_close(i);
}

/* Whoever read what the client prints goes: as in any pipe line, the command gets SIGPIPE. */
static void test_client_gone(void **state)
{
	struct fixture *f = *state;
	struct inst *i = make_inst(f, "one", NULL);
	int out[2];
	struct monitor m;

	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	m = monitor_start(i, "trap 'exit 3' PIPE; while :; do echo x || exit 3; done",
			  (struct monitor_options){ .logged = true,
						    .stdio = { -1, out[1], out[1] } });
	close(out[1]);
	close(out[0]);
	assert_int_equal(monitor_end(&m), 3);
	inst_close(i);
}

/* A client that reads nothing any more holds back the command, but not a stop. */
static void test_client_stuck(void **state)
{
	struct fixture *f = *state;
	struct inst *i = make_inst(f, "one", NULL);
	int out[2];
	struct monitor m;

	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	m = monitor_start(i, "trap 'exit 5' TERM; seq 1000000",
			  (struct monitor_options){ .logged = true,
						    .stdio = { -1, out[1], out[1] } });
	assert_int_equal(monitor_report(&m).kind, RUN_STARTED);
	usleep(100000);
	assert_int_equal(state_of(i).status, INST_RUNNING);
	assert_int_equal(inst_stop(i, SIGKILL, 5000), 0);
	assert_int_equal(monitor_end(&m), 137);
	close(out[0]);
	close(out[1]);
	inst_close(i);
}

/* Somebody outside keeps the pipe open: it is not waited for. */
static void test_grandchild(void **state)
{
	struct fixture *f = *state;
	struct inst *i = make_inst(f, "one", NULL);
	struct monitor m =
		monitor_start(i, "sleep 10 & echo done",
			      (struct monitor_options){ .logged = true, .stdio = { -1, -1, -1 } });
	uint64_t t = clock_ns();

	assert_int_equal(monitor_end(&m), 0);
	assert_true(clock_ns() - t < 5000000000u);
	inst_close(i);
}

static void test_stop(void **state)
{
	struct fixture *f = *state;
	struct inst *i = make_inst(f, "one", NULL);
	struct monitor m = monitor_start(i, "trap 'exit 9' TERM; while :; do sleep 0.05; done",
					 (struct monitor_options)MONITOR_DETACHED);

	assert_int_equal(monitor_report(&m).kind, RUN_STARTED);
	usleep(100000);
	assert_int_equal(inst_stop(i, SIGTERM, 10000), 0);
	assert_int_equal(state_of(i).exit_code, 9);
	assert_int_equal(monitor_end(&m), 9);
	assert_int_equal(inst_stop(i, SIGTERM, 10000), 0);
	inst_close(i);
}

static void test_stop_timeout(void **state)
{
	struct fixture *f = *state;
	struct inst *i = make_inst(f, "one", NULL);
	struct monitor m = monitor_start(i, "trap '' TERM; while :; do sleep 0.05; done",
					 (struct monitor_options)MONITOR_DETACHED);
	uint64_t t = clock_ns();

	assert_int_equal(monitor_report(&m).kind, RUN_STARTED);
	usleep(50000);
	assert_int_equal(inst_wait(i, 50), -ETIMEDOUT);
	assert_int_equal(inst_stop(i, SIGTERM, 300), 0);
	assert_in_range(clock_ns() - t, 300000000u, 5000000000u);
	assert_int_equal(state_of(i).exit_code, 137);
	assert_int_equal(monitor_end(&m), 137);
	inst_close(i);
}

static void test_sigterm(void **state)
{
	struct fixture *f = *state;
	struct inst *i = make_inst(f, "one", NULL);
	struct monitor m =
		monitor_start(i, "exec sleep 100", (struct monitor_options)MONITOR_DETACHED);

	assert_int_equal(monitor_report(&m).kind, RUN_STARTED);
	kill(m.pid, SIGINT);
	kill(m.pid, SIGHUP);
	kill(m.pid, SIGTERM);
	assert_int_equal(monitor_end(&m), 128 + SIGTERM);
	assert_int_equal(state_of(i).exit_code, 128 + SIGTERM);
	inst_close(i);
}

/* Whoever waits learns the exit code of one that removes itself. */
static void test_wait_removed(void **state)
{
	struct fixture *f = *state;
	struct inst *i = make_inst(f, "one", "web"), *other = NULL;
	struct monitor m =
		monitor_start(i, "sleep 0.2; exit 4",
			      (struct monitor_options){ .rm = true, .stdio = { -1, -1, -1 } });

	assert_int_equal(monitor_report(&m).kind, RUN_STARTED);
	assert_int_equal(inst_wait(i, -1), 0);
	assert_int_equal(inst_open(f->runroot, "one", &other), -ENOENT);
	err_clear();
	assert_int_equal(state_of(i).status, INST_STOPPED);
	assert_int_equal(state_of(i).exit_code, 4);
	assert_int_equal(monitor_end(&m), 4);
	inst_close(i);
}

static void test_killed_supervisor(void **state)
{
	struct fixture *f = *state;
	struct inst *i = make_inst(f, "one", NULL);
	struct monitor m =
		monitor_start(i, "exec sleep 100", (struct monitor_options)MONITOR_DETACHED);
	struct inst_state s;
	_close_ int pidfd = -1;
	struct pollfd p;

	assert_int_equal(monitor_report(&m).kind, RUN_STARTED);
	s = state_of(i);
	assert_int_equal(s.status, INST_RUNNING);
	assert_true(s.pid > 0);
	pidfd = proc_pidfd(s.pid);
	kill(m.pid, SIGKILL);
	assert_int_equal(inst_wait(i, 5000), 0);
	s = state_of(i);
	assert_int_equal(s.status, INST_STOPPED);
	assert_int_equal(s.exit_code, -1);
	assert_int_equal(inst_kill(i, SIGTERM), -ESRCH);
	assert_int_equal(inst_recover(i), 0);
	p = (struct pollfd){ .fd = pidfd, .events = POLLIN };
	assert_int_equal(poll(&p, 1, 0), 1);
	assert_int_equal(monitor_end(&m), 137);
	assert_int_equal(inst_delete(i), 0);
	inst_close(i);
}

/*
 * On the parent's CPU and idle: a parent that waits for what this process does preempts it there.
 */
static void run_behind_parent(void)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(0, &one);
	sched_setaffinity(0, sizeof(one), &one);
	sched_setaffinity(getppid(), sizeof(one), &one);
	sched_setscheduler(0, SCHED_IDLE, &(struct sched_param){ 0 });
}

/* It goes between a client's connect and its request, or the answer to it: gone, and no error. */
static void test_gone_unheard(void **state)
{
	struct fixture *f = *state;
	struct inst *i = make_inst(f, "one", NULL);
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	cpu_set_t before;

	sched_getaffinity(0, sizeof(before), &before);
	snprintf(name.sun_path, sizeof(name.sun_path), "%s/instances/one/control", f->path);
	for (int k = 0; k < 200; k++) {
		int listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
		struct pollfd p = { .fd = listener, .events = POLLIN };
		int status;
		pid_t pid;

		unlink(name.sun_path);
		assert_return_code(bind(listener, (struct sockaddr *)&name, sizeof(name)), errno);
		assert_return_code(listen(listener, 1), errno);
		pid = fork();
		if (pid == 0) {
			close(listener);
			run_behind_parent();
			_exit(inst_wait(i, 5000) == 0 ? 0 : 1);
		}
		assert_int_equal(poll(&p, 1, 5000), 1);
		close(listener);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
	}
	sched_setaffinity(0, sizeof(before), &before);
	inst_close(i);
}

/*
 * Wherever the supervisor is killed: the instance can be recovered, has ended, and can be removed.
 */
static void test_killed_anywhere(void **state)
{
	struct fixture *f = *state;

	for (int k = 0; k < 40; k++) {
		struct inst *i = make_inst(f, "one", "web");
		struct monitor_options o = { .logged = k % 2, .stdio = { -1, -1, -1 } };
		struct monitor m = monitor_start(i, "seq 10000; exec sleep 100", o);
		struct inst_state s;
		int r;

		usleep((useconds_t)(k * 100));
		kill(m.pid, SIGKILL);
		assert_int_equal(monitor_end(&m), 137);
		/* A child between fork and exec still has the lock. */
		for (int try = 0; (r = inst_recover(i)) == -EBUSY && try < 200; try++)
			usleep(5000);
		assert_int_equal(r, 0);
		s = state_of(i);
		assert_true(s.status == INST_STOPPED || (s.status == INST_CREATED && !s.monitor));
		assert_int_equal(s.exit_code, -1);
		assert_int_equal(inst_delete(i), 0);
		inst_close(i);
	}
}

static int end_loop(_unused_ void *ctx, _unused_ int fd, _unused_ uint32_t events)
{
	return 1;
}

static int attach_ending(_unused_ void *ctx, struct loop *loop)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	close(ends[1]);
	return loop_add(loop, ends[0], EPOLLIN, end_loop, NULL);
}

/* What an isolation watches (its file server, say) may end the instance. */
static void test_attach(void **state)
{
	struct fixture *f = *state;
	struct inst *i = make_inst(f, "one", NULL);
	struct isolation iso = script_isolation;
	int status;
	pid_t pid;

	iso.attach = attach_ending;
	pid = fork();
	if (pid == 0) {
		struct script s = { .text = "exec sleep 100", .process = { .pidfd = -1 } };
		struct supervise v = {
			.inst = i,
			.iso = &iso,
			.ctx = &s,
			.stdio = { -1, -1, -1 },
			.report_fd = -1,
		};

		_exit(supervise(&v));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WEXITSTATUS(status), 137);
	assert_int_equal(state_of(i).status, INST_STOPPED);
	inst_close(i);
}

static void test_tty(void **state)
{
	struct fixture *f = *state;
	struct inst *i = make_inst(f, "one", NULL);
	_free_ char *text = NULL;
	int in[2], out[2];
	struct monitor m;

	assert_int_equal(pipe2(in, O_CLOEXEC) | pipe2(out, O_CLOEXEC), 0);
	m = monitor_start(i,
			  "stty -echo; echo ready; read x; stty size; read y; echo \"$x/$y\"; cat;"
			  " tty >/dev/null && exit 6",
			  (struct monitor_options){ .tty = true,
						    .logged = true,
						    .stdio = { in[0], out[1], out[1] } });
	close(in[0]);
	close(out[1]);
	assert_int_equal(monitor_report(&m).kind, RUN_STARTED);
	assert_int_equal(inst_resize(i, 33, 77), 0);
	usleep(200000);
	assert_int_equal(write(in[1], "one\ntwo\n", 8), 8);
	usleep(200000);
	close(in[1]);
	text = slurp(out[0], NULL);
	assert_non_null(strstr(text, "ready\r\n"));
	assert_non_null(strstr(text, "33 77\r\n"));
	assert_non_null(strstr(text, "one/two\r\n"));
	assert_int_equal(monitor_end(&m), 6);
	close(out[0]);
	inst_close(i);
}

static void test_resize_without_tty(void **state)
{
	struct fixture *f = *state;
	struct inst *i = make_inst(f, "one", NULL);
	struct monitor m =
		monitor_start(i, "exec sleep 100", (struct monitor_options)MONITOR_DETACHED);

	assert_int_equal(monitor_report(&m).kind, RUN_STARTED);
	assert_int_equal(inst_resize(i, 1, 1), -ENOTTY);
	assert_int_equal(inst_kill(i, 1000), -EINVAL);
	assert_int_equal(inst_kill(i, SIGKILL), 0);
	assert_int_equal(monitor_end(&m), 137);
	inst_close(i);
}

/* An isolation that cannot hold says so, and its instance runs on. */
static void test_pause_unsupported(void **state)
{
	struct fixture *f = *state;
	struct inst *i = make_inst(f, "one", NULL);
	struct monitor m = monitor_start(i, "sleep 100", (struct monitor_options)MONITOR_DETACHED);
	int pidfd = -1;

	assert_int_equal(monitor_report(&m).kind, RUN_STARTED);
	assert_int_equal(inst_pause(i, true), -EOPNOTSUPP);
	assert_int_equal(state_of(i).status, INST_RUNNING);
	assert_int_equal(inst_process(i, &pidfd), 0);
	assert_int_equal(proc_pidfd_kill(pidfd, SIGKILL), 0);
	close(pidfd);
	assert_int_equal(monitor_end(&m), 137);
	assert_int_equal(inst_process(i, &pidfd), -ESRCH);
	assert_int_equal(inst_pause(i, true), -ESRCH);
	inst_close(i);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_exit_code, setup, teardown),
		cmocka_unit_test_setup_teardown(test_signalled, setup, teardown),
		cmocka_unit_test_setup_teardown(test_create_fails, setup, teardown),
		cmocka_unit_test_setup_teardown(test_start_fails, setup, teardown),
		cmocka_unit_test_setup_teardown(test_second_supervisor, setup, teardown),
		cmocka_unit_test_setup_teardown(test_direct, setup, teardown),
		cmocka_unit_test_setup_teardown(test_tee, setup, teardown),
		cmocka_unit_test_setup_teardown(test_client_gone, setup, teardown),
		cmocka_unit_test_setup_teardown(test_client_stuck, setup, teardown),
		cmocka_unit_test_setup_teardown(test_grandchild, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stop, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stop_timeout, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sigterm, setup, teardown),
		cmocka_unit_test_setup_teardown(test_wait_removed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_killed_supervisor, setup, teardown),
		cmocka_unit_test_setup_teardown(test_gone_unheard, setup, teardown),
		cmocka_unit_test_setup_teardown(test_killed_anywhere, setup, teardown),
		cmocka_unit_test_setup_teardown(test_attach, setup, teardown),
		cmocka_unit_test_setup_teardown(test_tty, setup, teardown),
		cmocka_unit_test_setup_teardown(test_resize_without_tty, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pause_unsupported, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
