/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes that lie in several pieces, as a chain's do. */
#ifndef VIRTIO_IOV_H
#define VIRTIO_IOV_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

/*
 * The pieces of the @len bytes behind the first @skip ones, or of as many as there are, into @ret
 * (@max of them, maybe the same array): how many. None is empty.
 */
unsigned iov_slice(const struct iovec *iov, unsigned n, uint64_t skip, uint64_t len,
		   struct iovec *ret, unsigned max);
/* Copies the first @len bytes, or as many as there are: how many. */
size_t iov_read(const struct iovec *iov, unsigned n, void *to, size_t len);
size_t iov_write(const struct iovec *iov, unsigned n, const void *from, size_t len);

#endif
