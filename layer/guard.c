/* SPDX-License-Identifier: Apache-2.0 */
#include "layer/guard.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/sha256.h"
#include "layer/layer.h"

#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>

#define PAGE ((size_t)1 << GUARD_PAGE_BITS)
/* Images mapped at once: a stack that is merged, and some. One more is read without the handler. */
#define SLOTS (LAYER_DEVICES_MAX + 64)

/*
 * The handler may take no lock: it looks through these, which are never freed. Of another's guard
 * it may not read a byte, since that may go at any time; so a slot has its map's bounds itself.
 */
static struct slot {
	atomic_bool taken;
	atomic_uint turn; /* odd: what follows is one guard's */
	_Atomic(struct guard *) guard;
	_Atomic(const uint8_t *) begin, end;
} slots[SLOTS];
static struct sigaction before;

/* ---- SIGBUS ---- */

/* Its guard when the map has @addr. A slot that changes hands meanwhile is not the asker's. */
static struct guard *slot_guard(struct slot *s, const uint8_t *addr)
{
	unsigned int turn = s->turn;
	const uint8_t *begin = s->begin, *end = s->end;
	struct guard *g = s->guard;

	return (turn & 1) && s->turn == turn && addr >= begin && addr < end ? g : NULL;
}

static struct guard *guard_at(const uint8_t *addr)
{
	struct guard *g = NULL;

	for (size_t i = 0; !g && i < SLOTS; i++)
		g = slot_guard(&slots[i], addr);
	/* Whoever touched an address of it has it open: it cannot go while we look. */
	return g;
}

static bool replace_page(struct guard *g, const uint8_t *addr)
{
	size_t page = (size_t)(addr - g->map) >> GUARD_PAGE_BITS;
	void *at = (void *)(uintptr_t)(g->map + page * PAGE);

	if (mmap(at, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != at)
		return false;
	atomic_store(&g->pages[page], GUARD_LOST);
	atomic_fetch_add(&g->lost, 1);
	return true;
}

static void on_sigbus(int sig, siginfo_t *info, void *context)
{
	int saved = errno;
	struct guard *g = info->si_code > 0 ? guard_at(info->si_addr) : NULL;

	if (g && replace_page(g, info->si_addr)) {
		errno = saved;
		return;
	}
	if ((before.sa_flags & SA_SIGINFO) && before.sa_sigaction)
		before.sa_sigaction(sig, info, context);
	else if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN)
		before.sa_handler(sig);
	else
		signal(sig, SIG_DFL); /* the access is tried again, and ends us */
	errno = saved;
}

/* Again when someone else has taken the signal since. */
static void install(void)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	struct sigaction now, sa = { .sa_sigaction = on_sigbus,
				     .sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK };

	sigemptyset(&sa.sa_mask);
	pthread_mutex_lock(&lock);
	if (sigaction(SIGBUS, NULL, &now) == 0 && now.sa_sigaction != on_sigbus) {
		before = now;
		sigaction(SIGBUS, &sa, NULL);
	}
	pthread_mutex_unlock(&lock);
}

static void enlist(struct guard *g)
{
	for (g->slot = 0; g->slot < SLOTS; g->slot++) {
		struct slot *s = &slots[g->slot];

		if (atomic_exchange(&s->taken, true))
			continue;
		s->guard = g;
		s->begin = g->map;
		s->end = g->map + g->size;
		s->turn++;
		return;
	}
}

static void delist(const struct guard *g)
{
	if (g->slot == SLOTS)
		return;
	slots[g->slot].turn++;
	slots[g->slot].taken = false;
}

/* ---- a map ---- */

int guard_init(struct guard *g, const void *map, size_t size, int sums_fd)
{
	size_t n = ROUND_UP(size, PAGE) / PAGE;

	install();
	g->map = map;
	g->size = size;
	g->sums_fd = -1;
	g->slot = SLOTS;
	g->pages = mem_new(n, 1);
	if (!g->pages)
		return -ENOMEM;
	if (sums_fd < 0)
		memset((void *)g->pages, GUARD_GOOD, n);
	else if ((g->sums_fd = fcntl(sums_fd, F_DUPFD_CLOEXEC, 3)) < 0)
		return err_sys("index: digests");
	enlist(g);
	return 0;
}

void guard_done(struct guard *g)
{
	if (!g->pages)
		return;
	delist(g);
	fd_close(g->sums_fd);
	free((void *)g->pages);
	g->pages = NULL;
}

static int bad(size_t page, const char *why)
{
	return err(-EBADMSG, "index: block %zu: %s", page, why);
}

static int check_page(struct guard *g, size_t page)
{
	struct digest want, got;
	uint8_t unknown = GUARD_UNKNOWN;
	ssize_t n;

	if (atomic_load(&g->pages[page]) == GUARD_LOST)
		return bad(page, "the disk does not give it");
	n = fd_pread_full(g->sums_fd, &want, sizeof(want), (off_t)(page * sizeof(want)));
	if (n != sizeof(want))
		return bad(page, n < 0 ? "its digest cannot be read" : "without a digest");
	got = sha256_of(g->map + page * PAGE, MIN(PAGE, g->size - page * PAGE));
	if (atomic_load(&g->pages[page]) == GUARD_LOST)
		return bad(page, "the disk does not give it");
	if (!digest_eq(&want, &got))
		return bad(page, "digest mismatch");
	atomic_compare_exchange_strong(&g->pages[page], &unknown, GUARD_GOOD);
	return 0;
}

int guard_check(struct guard *g, size_t off, size_t len)
{
	int r = 0;

	for (size_t p = off / PAGE; r == 0 && len && p <= (off + len - 1) / PAGE; p++) {
		if (atomic_load(&g->pages[p]) != GUARD_GOOD)
			r = check_page(g, p);
	}
	return r;
}
