/* SPDX-License-Identifier: Apache-2.0 */
#include "unionfs/journal.h"

#include "base/err.h"
#include "unionfs/unionfs.h"
#include "unionfs/wire.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- the memory ---- */

int ufs_journal_open(int fd, struct journal **ret)
{
	struct journal *j;
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_sys("journal");
	if (st.st_size == 0 && ftruncate(fd, sizeof(*j)) < 0)
		return err_sys("journal");
	if (st.st_size != 0 && st.st_size != sizeof(*j))
		return err(-EPROTO, "journal: of another version of strata-server");
	j = mmap(NULL, sizeof(*j), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (j == MAP_FAILED)
		return err_sys("journal");
	if (j->magic && j->magic != JOURNAL_MAGIC) {
		munmap(j, sizeof(*j));
		return err(-EPROTO, "journal: of another version of strata-server");
	}
	j->magic = JOURNAL_MAGIC;
	*ret = j;
	return 0;
}

void ufs_journal_close(struct journal *j)
{
	if (j)
		munmap(j, sizeof(*j));
}

bool ufs_journal_used(const struct journal *j)
{
	return j->ready;
}

bool ufs_journal_resends(const struct journal *j)
{
	return j->flags & WIRE_HAS_RESEND;
}

uint64_t ufs_journal_served(const struct journal *j)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < JOURNAL_SLOTS; i++)
		sum += j->served[i];
	return sum;
}

/* ---- what earlier servers left ---- */

static struct journal_record *find_kept(struct journal *j, uint64_t unique)
{
	for (unsigned int i = 0; i < JOURNAL_KEPT; i++)
		if (j->kept[i].phase != JOURNAL_FREE && j->kept[i].unique == unique)
			return &j->kept[i];
	return NULL;
}

static struct journal_record *new_kept(struct journal *j)
{
	for (unsigned int i = 0; i < JOURNAL_KEPT; i++)
		if (j->kept[i].phase == JOURNAL_FREE)
			return &j->kept[i];
	return &j->kept[j->next_kept++ % JOURNAL_KEPT];
}

static void copy_record(struct journal_record *to, const struct journal_record *from)
{
	memcpy(to->noted, from->noted, sizeof(to->noted));
	memcpy(to->reply, from->reply, sizeof(to->reply));
	to->reply_len = from->reply_len;
	to->unique = from->unique;
	to->phase = from->phase;
}

static void keep(struct journal *j, const struct journal_record *slot)
{
	struct journal_record *k = find_kept(j, slot->unique);

	if (!k) {
		k = new_kept(j);
		k->phase = JOURNAL_FREE;
		k->deaths = 0;
		copy_record(k, slot);
	} else if (slot->phase > k->phase) {
		copy_record(k, slot);
	}
	if (slot->phase != JOURNAL_DONE)
		k->deaths++;
}

void journal_recover(struct journal *j)
{
	for (unsigned int i = 0; i < JOURNAL_SLOTS; i++) {
		struct journal_record *s = &j->slots[i];

		if (s->phase != JOURNAL_FREE)
			keep(j, s);
		/* Died here: it is kept twice by the next, which finds it, and counts once more. */
		s->phase = JOURNAL_FREE;
	}
}

/* ---- a thread's slot ---- */

static struct journal_record *own(const struct journal_slot *s)
{
	return &s->j->slots[s->n];
}

/* The phase is written last, and read first: a record is whole whenever its phase says so. */
void journal_take(struct journal_slot *s, uint64_t unique)
{
	struct journal_record *r = own(s);

	s->kept = unique & JOURNAL_RESENT ? find_kept(s->j, unique & ~JOURNAL_RESENT) : NULL;
	r->unique = unique & ~JOURNAL_RESENT;
	r->phase = JOURNAL_BUSY;
}

void journal_begin(struct journal_slot *s, const uint64_t noted[JOURNAL_NAMES])
{
	struct journal_record *r = own(s);

	memcpy(r->noted, noted, sizeof(r->noted));
	r->phase = JOURNAL_BEGUN;
}

void journal_done(struct journal_slot *s, const void *reply, size_t len)
{
	struct journal_record *r = own(s);

	if (len > sizeof(r->reply))
		return;
	memcpy(r->reply, reply, len);
	r->reply_len = len;
	r->phase = JOURNAL_DONE;
}

void journal_count(struct journal_slot *s)
{
	s->j->served[s->n]++;
}

void journal_end(struct journal_slot *s)
{
	if (s->kept)
		s->kept->phase = JOURNAL_FREE;
	s->kept = NULL;
	own(s)->phase = JOURNAL_FREE;
}
