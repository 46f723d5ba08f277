/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/vmm_go.h"

#include "base/fd.h"

bool vmm_await_go(int sock, void (*fn)(void *ctx, const struct vmm_message *m, int fd), void *ctx)
{
	for (;;) {
		struct vmm_message m;
		size_t nfds = 0;
		int fd = -1;

		if (fd_recv(sock, &m, sizeof(m), &fd, 1, &nfds) != sizeof(m)) {
			fd_close(fd);
			return false;
		}
		if (m.kind != VMM_GO)
			fn(ctx, &m, fd);
		fd_close(fd);
		if (m.kind == VMM_GO)
			return true;
	}
}
