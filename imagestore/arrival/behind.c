/* SPDX-License-Identifier: Apache-2.0 */
/* The rest of an arriving image: an ordinary pull, that gives way to whoever waits for a read. */
#include "imagestore/arrival/fetcher.h"

#include "base/clock.h"
#include "imagestore/transfer.h"

/* A demand was so long ago: nobody waits. At most so long at once: servers end what is silent. */
#define GIVE_WAY_NS (500 * UINT64_C(1000000))
#define HELD_UP_NS  (2 * UINT64_C(1000000000))
#define NAP_US	    20000
#define LEAD_S	    1 /* for who runs it at once */

bool fetcher_goes_on(struct fetcher *f)
{
	return arrival_is_named(f->s, &f->manifest, f->dirfd);
}

static bool is_busy(const struct fetcher *f)
{
	return clock_ns() - atomic_load(&f->state.head->demand) < GIVE_WAY_NS;
}

static int pace(void *ctx)
{
	struct fetcher *f = ctx;
	uint64_t since = clock_ns();

	while (is_busy(f) && clock_ns() - since < HELD_UP_NS)
		usleep(NAP_US);
	return fetcher_goes_on(f) ? 0 : err(-ECANCELED, "the image was removed while it arrived");
}

/* A store of this thread's own. */
static int pull_rest(struct fetcher *f)
{
	struct pull_rest rest = {
		.manifest = f->manifest, .asked = f->note.asked, .pace = pace, .ctx = f
	};
	struct platform platform;
	struct pull_options o = { .platform = &platform, .rest = &rest };
	_free_ char *unnamed = str_fmt("%s@sha256:%s", f->note.source, digest_hex(&f->manifest).s);
	struct digest got;
	struct store *own;
	int r = unnamed ? platform_parse(f->note.platform, &platform) : -ENOMEM;

	if (r >= 0)
		r = store_open(f->s->path, 0, &own);
	if (r < 0)
		return r;
	r = image_pull(own, f->note.name ?: unnamed, &o, &got);
	store_close(own);
	return MIN(r, 0);
}

/* It was refused: it would be again, byte for byte. Whoever pulls it by name is told why. */
static bool is_bad(const struct fetcher *f)
{
	return faccessat(f->dirfd, "bad", F_OK, 0) == 0;
}

int behind_run(struct fetcher *f, bool wait)
{
	_close_ int lock = openat(f->dirfd, "behind", O_RDONLY | O_CLOEXEC);
	int r = lock < 0 ? -errno : fd_lock(lock, true, wait);

	if (r < 0)
		return r;
	if (!fetcher_goes_on(f) || arrival_is_whole(f->dirfd) || is_bad(f))
		return 0;
	touched_fetch(f);
	sleep(LEAD_S);
	r = pull_rest(f);
	if (r == -EBADMSG || r == -EFBIG)
		fd_close(openat(f->dirfd, "bad", O_WRONLY | O_CREAT | O_CLOEXEC, 0444));
	return r;
}
