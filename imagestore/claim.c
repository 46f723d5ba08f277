/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who makes a layer now: two commands that load one image at once do the work once. Only a saving,
 * never a need: whoever does not wait makes the layer too, and the commit sorts it out.
 *
 * A claim is a lock on one byte of FORMAT, which is there anyway and which nobody locks otherwise:
 * a file for each layer would be an inode made and removed. Two layers of one byte only wait.
 */
#include "imagestore/txn.h"

#include <fcntl.h>

static int lock_byte(int fd, const struct digest *diff_id, bool wait)
{
	struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1 };
	uint64_t at;

	memcpy(&at, diff_id->b, sizeof(at));
	l.l_start = (off_t)(at >> 2);
	return fcntl(fd, wait ? F_OFD_SETLKW : F_OFD_SETLK, &l) < 0 ? -errno : 0;
}

/* Whoever holds one already and waits for another could wait for one who waits for him. */
int txn_claim_layer(struct txn *t, const struct digest *diff_id)
{
	bool first = t->claims_fd < 0;
	int r;

	if (first)
		t->claims_fd = openat(t->s->dirfd, "FORMAT", O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	r = t->claims_fd < 0 ? 0 : lock_byte(t->claims_fd, diff_id, first);
	return r == -EINTR ? r : 0;
}

void txn_drop_claims(struct txn *t)
{
	t->claims_fd = fd_close(t->claims_fd);
}
