/* SPDX-License-Identifier: Apache-2.0 */
#include "virtio/iov.h"

#include "base/mem.h"

unsigned iov_slice(const struct iovec *iov, unsigned n, uint64_t skip, uint64_t len,
		   struct iovec *ret, unsigned max)
{
	unsigned k = 0;

	for (unsigned i = 0; i < n && k < max && len; i++) {
		const struct iovec v = iov[i];
		const size_t s = (size_t)MIN(skip, (uint64_t)v.iov_len);
		const size_t m = (size_t)MIN(len, (uint64_t)(v.iov_len - s));

		skip -= s;
		len -= m;
		if (m)
			ret[k++] = (struct iovec){ (uint8_t *)v.iov_base + s, m };
	}
	return k;
}

size_t iov_read(const struct iovec *iov, unsigned n, void *to, size_t len)
{
	size_t done = 0;

	for (unsigned i = 0; i < n && done < len; i++) {
		size_t m = MIN(iov[i].iov_len, len - done);

		memcpy((uint8_t *)to + done, iov[i].iov_base, m);
		done += m;
	}
	return done;
}

size_t iov_write(const struct iovec *iov, unsigned n, const void *from, size_t len)
{
	size_t done = 0;

	for (unsigned i = 0; i < n && done < len; i++) {
		size_t m = MIN(iov[i].iov_len, len - done);

		memcpy(iov[i].iov_base, (const uint8_t *)from + done, m);
		done += m;
	}
	return done;
}
