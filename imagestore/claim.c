/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who makes a layer now: two commands that load one image at once do the work once. Only a saving,
 * never a need: whoever does not wait makes the layer too, and the commit sorts it out.
 */
#include "imagestore/txn.h"

#include <sys/stat.h>

struct claim {
	int fd;
	struct store_file path;
};

static struct store_file claim_file(const struct digest *diff_id)
{
	struct store_file f;

	snprintf(f.s, sizeof(f.s), "partial/layer-%s", digest_hex(diff_id).s);
	return f;
}

/* Whoever holds one already and waits for another could wait for one who waits for him. */
int txn_claim_layer(struct txn *t, const struct digest *diff_id)
{
	struct store_file path = claim_file(diff_id);
	_close_ int fd =
		openat(t->s->dirfd, path.s, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	int r = fd < 0 ? -errno : fd_lock(fd, true, t->nclaims == 0);

	if (r < 0 || mem_grow(&t->claims, &t->claims_cap, t->nclaims + 1, sizeof(*t->claims)) < 0)
		return r == -EINTR ? r : 0;
	t->claims[t->nclaims++] = (struct claim){ .fd = take_fd(fd), .path = path };
	return 0;
}

/*
 * The name goes while the lock is held: who waits on it finds the layer, and has a lock on nothing.
 */
void txn_drop_claims(struct txn *t)
{
	for (size_t i = 0; i < t->nclaims; i++) {
		unlinkat(t->s->dirfd, t->claims[i].path.s, 0);
		fd_close(t->claims[i].fd);
	}
	free(take_ptr(t->claims));
	t->nclaims = 0;
}
