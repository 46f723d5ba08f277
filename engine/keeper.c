/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/keeper.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "engine/arrival.h"
#include "unionfs/unionfs.h"
#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* So many that answered nothing, one after the other within that time: it will not come up. */
#define FRUITLESS_MAX 3
#define FRUITLESS_NS  (10 * UINT64_C(1000000000))

struct watch {
	const struct keeper *k;
	struct journal *j;
	sigset_t signals;
	pid_t child;
	uint64_t served; /* when the child began */
	int fruitless;
	uint64_t since;		      /* the first of these died */
	pid_t beside;		      /* 0: none */
	struct arrival_deaths deaths; /* of those beside it */
};

/* ---- beside it ---- */

static void start_beside(struct watch *w)
{
	int r = w->k->beside(w->k->ctx, &w->beside);

	if (r >= 0)
		return;
	log_err("%s", err_take(r));
	w->beside = 0;
	w->k->given_up(w->k->ctx);
}

/* Status 0: it has nothing to do any more. */
static void mind_beside(struct watch *w)
{
	int status;

	if (!w->beside || waitpid(w->beside, &status, WNOHANG) != w->beside)
		return;
	w->beside = 0;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return;
	if (arrival_fetch_again(&w->deaths))
		start_beside(w);
	else
		w->k->given_up(w->k->ctx);
}

/* ---- the server ---- */

/* In the child. It goes with its keeper, whatever ends that. */
static void serve(struct watch *w, pid_t keeper)
{
	int r;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != keeper)
		_exit(1);
	sigprocmask(SIG_UNBLOCK, &w->signals, NULL);
	signal(SIGHUP, SIG_DFL);
	r = w->k->serve(w->k->ctx, w->j, ufs_journal_used(w->j));
	if (r < 0)
		log_err("%s", err_take(r));
	_exit(r < 0);
}

static int start(struct watch *w)
{
	pid_t self = getpid();

	w->served = ufs_journal_served(w->j);
	w->child = fork();
	if (w->child < 0)
		return err_sys("fork");
	if (!w->child)
		serve(w, self);
	if (w->k->forked)
		w->k->forked(w->k->ctx);
	return 0;
}

/* Until the child has ended: its status. Or a reload is wanted, and it was ended for that. */
static int wait_for(struct watch *w, bool *ret_reload)
{
	int status, sig;

	for (;;) {
		mind_beside(w);
		sig = sigwaitinfo(&w->signals, NULL);
		if (sig == SIGHUP) {
			*ret_reload = true;
			kill(w->child, SIGKILL);
		}
		/* SIGCHLD also tells of a child that was stopped. */
		if (sig > 0 && waitpid(w->child, &status, WNOHANG) == w->child)
			return status;
	}
}

/* Whether it dies of something that no request brings. */
static bool hopeless(struct watch *w)
{
	uint64_t now = clock_ns();

	if (ufs_journal_served(w->j) != w->served || !w->fruitless ||
	    now - w->since > FRUITLESS_NS) {
		w->fruitless = 0;
		w->since = now;
	}
	if (ufs_journal_served(w->j) == w->served)
		w->fruitless++;
	return w->fruitless >= FRUITLESS_MAX;
}

/* Comes back only when it fails; then this program goes on. */
static void become_new(const struct keeper *k)
{
	log_info("reloading %s", k->argv[0]);
	execv(k->argv[0], k->argv);
	log_err("reloading %s: %s; the old program goes on", k->argv[0], strerror(errno));
}

static int after_death(struct watch *w, int status)
{
	if (ufs_journal_used(w->j) && !ufs_journal_resends(w->j))
		return err(-ENOTCONN,
			   "the file server was killed (signal %d); Linux before 6.9 "
			   "cannot send its requests again: the mount has ended",
			   WTERMSIG(status));
	if (hopeless(w))
		return err(-ENOTCONN,
			   "%d file servers were killed (signal %d) before they "
			   "answered anything: the mount has ended",
			   FRUITLESS_MAX, WTERMSIG(status));
	log_info("the file server was killed (signal %d): another takes over", WTERMSIG(status));
	return 0;
}

static int keep(struct watch *w)
{
	if (w->k->beside)
		start_beside(w);
	for (;;) {
		bool reload = false;
		int status, r = start(w);

		if (r < 0)
			return r;
		status = wait_for(w, &reload);
		if (WIFEXITED(status))
			return WEXITSTATUS(status) ? -EIO : 0;
		if (reload && ufs_journal_used(w->j) && ufs_journal_resends(w->j)) {
			become_new(w->k);
			continue;
		}
		r = after_death(w, status);
		if (r < 0)
			return r;
	}
}

int keeper_run(const struct keeper *k)
{
	struct watch w = { .k = k };
	int r = ufs_journal_open(k->journal_fd, &w.j);

	if (r >= 0) {
		sigemptyset(&w.signals);
		sigaddset(&w.signals, SIGCHLD);
		sigaddset(&w.signals, SIGHUP);
		sigprocmask(SIG_BLOCK, &w.signals, NULL);
		r = keep(&w);
		ufs_journal_close(w.j);
	}
	if (r < 0 && err_text())
		log_err("%s", err_take(r));
	return r;
}
