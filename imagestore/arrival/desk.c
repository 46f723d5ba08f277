/* SPDX-License-Identifier: Apache-2.0 */
#include "imagestore/arrival/desk.h"

#include "base/err.h"
#include "base/fd.h"
#include "imagestore/arriving.h"
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

#define PHASE	 7u
#define TURN	 8u	   /* one more of them, above the phase */
#define AGAIN_NS 500000000 /* a ring that was lost is repeated; a desk that was shut is seen */

static int futex(_Atomic(uint32_t) *word, int op, uint32_t value, const struct timespec *t)
{
	return (int)syscall(SYS_futex, (void *)word, op, value, t, NULL, 0);
}

int arrival_desk_new(int *ret_fd)
{
	_close_ int fd = fd_memfd("strata-desk", NULL, sizeof(struct desk));

	/* Who asks may be a VMM that its guest has taken over: who answers has it mapped. */
	if (fd < 0 || fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return err_sys("desk");
	*ret_fd = take_fd(fd);
	return 0;
}

int desk_map(int fd, struct desk **ret)
{
	struct stat st;
	void *p;

	if (fstat(fd, &st) < 0 || st.st_size != sizeof(struct desk))
		return err(-EINVAL, "this is no desk");
	p = mmap(NULL, sizeof(struct desk), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return err_sys("desk");
	*ret = p;
	return 0;
}

void desk_unmap(struct desk *d)
{
	if (d)
		munmap(d, sizeof(*d));
}

void desk_shut(struct desk *d)
{
	atomic_store(&d->shut, 1);
	for (unsigned i = 0; i < DESK_SLOTS; i++)
		futex(&d->slots[i].word, FUTEX_WAKE, INT32_MAX, NULL);
}

void arrival_desk_shut(int desk_fd)
{
	struct desk *d;

	if (desk_map(desk_fd, &d) < 0) {
		err_clear();
		return;
	}
	desk_shut(d);
	desk_unmap(d);
}

/* ---- asking ---- */

void desk_clear(struct desk *d)
{
	for (unsigned i = 0; i < DESK_SLOTS; i++) {
		uint32_t word = atomic_load(&d->slots[i].word);

		atomic_store(&d->slots[i].word, (word & ~PHASE) + TURN);
	}
}

static struct desk_slot *take_slot(struct desk *d)
{
	for (unsigned i = 0; i < DESK_SLOTS; i++) {
		struct desk_slot *s = &d->slots[i];
		uint32_t word = atomic_load(&s->word);

		if ((word & PHASE) == DESK_FREE &&
		    atomic_compare_exchange_strong(&s->word, &word, word | DESK_TAKEN))
			return s;
	}
	return NULL; /* more threads than slots: the caller's mistake */
}

static void ring(int door)
{
	/* A full socket has rung already. */
	send(door, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}

bool desk_ask(struct desk *d, int door, uint64_t nid, uint64_t off, uint64_t len)
{
	const struct timespec again = { .tv_nsec = AGAIN_NS };
	struct desk_slot *s = take_slot(d);
	uint32_t turn, asked;
	bool done;

	if (!s)
		return false;
	turn = (atomic_load(&s->word) & ~PHASE) + TURN;
	asked = turn | DESK_ASKED;
	s->nid = nid;
	s->off = off;
	s->len = len;
	atomic_store(&s->word, asked);
	while (atomic_load(&s->word) == asked && !atomic_load(&d->shut)) {
		ring(door);
		futex(&s->word, FUTEX_WAIT, asked, &again);
	}
	done = atomic_load(&s->word) == (turn | DESK_DONE);
	atomic_store(&s->word, turn + TURN);
	return done;
}

/* ---- answering ---- */

bool desk_next(const struct desk *d, uint64_t taken, struct desk_question *ret)
{
	for (unsigned i = 0; i < DESK_SLOTS; i++) {
		const struct desk_slot *s = &d->slots[i];
		uint32_t word = atomic_load(&s->word);

		if ((word & PHASE) != DESK_ASKED || (taken & UINT64_C(1) << i))
			continue;
		*ret = (struct desk_question){ i, word, s->nid, s->off, s->len };
		/* What was read is of one turn. */
		if (atomic_load(&s->word) == word)
			return true;
	}
	return false;
}

void desk_answer(struct desk *d, const struct desk_question *q, bool done)
{
	struct desk_slot *s = &d->slots[q->slot];
	uint32_t word = q->word;

	if (atomic_compare_exchange_strong(&s->word, &word,
					   (word & ~PHASE) | (done ? DESK_DONE : DESK_FAILED)))
		futex(&s->word, FUTEX_WAKE, INT32_MAX, NULL);
}
