/* SPDX-License-Identifier: Apache-2.0 */
/* blobs/sha256/: documents and compressed layers, by digest. */
#include "imagestore/store.h"

#include <sys/stat.h>

int blob_open(struct store *s, const struct digest *d)
{
	int fd = openat(s->dirfd, blob_file(d).s, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return err(-errno, "blob sha256:%s: %s", digest_hex(d).s,
			   errno == ENOENT ? "not in the store" : strerror(errno));
	return fd;
}

int blob_json(struct store *s, const struct digest *d, const char *what, json_t **ret,
	      uint64_t *ret_size)
{
	_close_ int fd = blob_open(s, d);
	_free_ char *data = NULL;
	struct digest got;
	size_t len;
	int r;

	if (fd < 0)
		return fd;
	r = fd_read_all(fd, JSON_MAX, &data, &len);
	if (r < 0)
		return err(r, "%s sha256:%s: %s", what, digest_hex(d).s, strerror(-r));
	got = sha256_of(data, len);
	if (!digest_eq(&got, d))
		return err(-EBADMSG, "%s sha256:%s: digest mismatch: the file is damaged", what,
			   digest_hex(d).s);
	r = json_parse(data, len, what, ret);
	if (r >= 0 && ret_size)
		*ret_size = len;
	return r;
}
