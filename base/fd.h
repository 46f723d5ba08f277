/* SPDX-License-Identifier: Apache-2.0 */
/*
 * File descriptors: -1 is none, always O_CLOEXEC; whole reads and writes; paths that someone else
 * chose. Nothing here attaches a text to its error: only the caller knows what the file was to him.
 */
#ifndef BASE_FD_H
#define BASE_FD_H

#include "base/mem.h"
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

/*
 * Closes @fd unless it is negative; keeps errno; gives -1 so that `fd = fd_close(fd)` reads well.
 */
int fd_close(int fd);

static inline void fd_closep_(int *fd)
{
	fd_close(*fd);
}

/* An owning descriptor: closed at the end of the scope. */
#define _close_ _cleanup_(fd_closep_)

/* Hands over what an owning descriptor holds, and leaves -1. */
#define take_fd(fd)                \
	({                         \
		int taken_ = (fd); \
		(fd) = -1;         \
		taken_;            \
	})

/*
 * All of @len bytes, over short reads and EINTR. read: the count, less than @len only at the end of
 * the file.
 */
ssize_t fd_read_full(int fd, void *buf, size_t len);
ssize_t fd_pread_full(int fd, void *buf, size_t len, off_t off);
/* All of @len bytes, over short writes and EINTR: 0 or -errno. */
int fd_write_full(int fd, const void *buf, size_t len);
int fd_pwrite_full(int fd, const void *buf, size_t len, off_t off);

/*
 * The whole file as bytes with a NUL behind them, at most @max bytes (-EFBIG); the caller frees
 * *@ret_data.
 */
int fd_read_all(int fd, size_t max, char **ret_data, size_t *ret_len);
int file_read_all(int dirfd, const char *path, size_t max, char **ret_data, size_t *ret_len);

/* Writes a small file of the kernel (/proc, /sys, cgroups) with one write(2): 0 or -errno. */
int file_write(int dirfd, const char *path, const char *text);

/*
 * Replaces @name in @dirfd by @len bytes: a temporary file beside it, fsync when @sync, rename,
 * fsync of the directory when @sync. Whoever reads sees the old or the new.
 */
int file_replace(int dirfd, const char *name, const void *data, size_t len, mode_t mode, bool sync);

/*
 * openat2(2) with O_CLOEXEC added; @resolve are RESOLVE_ flags. A descriptor or -errno (EAGAIN is
 * retried).
 */
int fd_openat2(int dirfd, const char *path, uint64_t flags, mode_t mode, uint64_t resolve);

/*
 * Opens below a root that someone hostile arranged: no way out, no magic links; symbolic links stay
 * inside.
 */
int fd_open_in_root(int rootfd, const char *path, uint64_t flags, mode_t mode);
/* Opens one name or a path without any symbolic link in it, below @dirfd. */
int fd_open_beneath(int dirfd, const char *path, uint64_t flags, mode_t mode);

/* mkdir -p below @dirfd (missing parents too): 0 or -errno; an existing directory is fine. */
int fd_mkdir_p(int dirfd, const char *path, mode_t mode);

/*
 * Removes @name in @dirfd with everything below it; never follows a link, never crosses a mount
 * (-EBUSY). ENOENT is success. Stops at the first failure.
 */
int fd_remove_tree(int dirfd, const char *name);

/* "/proc/self/fd/N" for the calls that take only paths. */
struct fd_path {
	char s[32];
};
struct fd_path fd_path(int fd);

/* Sets or clears O_CLOEXEC / O_NONBLOCK. */
int fd_cloexec(int fd, bool on);
int fd_nonblock(int fd, bool on);

/* Whether the kernel compares what it reads of it with digests (fs-verity), each time it does. */
bool fd_is_verity(int fd);

/* A file's lock as flock(2) has it: shared or exclusive, waiting or not (-EWOULDBLOCK). */
int fd_lock(int fd, bool exclusive, bool wait);

/*
 * Sends / receives bytes and at most @nfds descriptors over a SOCK_SEQPACKET or SOCK_STREAM socket,
 * in one message.
 */
ssize_t fd_send(int sock, const void *data, size_t len, const int *fds, size_t nfds);
/*
 * *@ret_nfds is how many came (each O_CLOEXEC, owned by the caller); 0 bytes = the other end is
 * gone. A message with more descriptors or, of a SOCK_SEQPACKET, more bytes than fit: -EMSGSIZE,
 * and it is gone with its descriptors.
 */
ssize_t fd_recv(int sock, void *data, size_t len, int *ret_fds, size_t maxfds, size_t *ret_nfds);
/*
 * Whether recv(2) that failed with @e is to be called again: after EINTR, and after ECONNRESET,
 * which a SOCK_SEQPACKET of AF_UNIX tells once, before what the other end had sent, when that was
 * closed with messages of ours unread. fd_recv() does so itself.
 */
bool fd_recv_again(int e);

/* An anonymous file, sealed against change when @data is given and written. */
int fd_memfd(const char *name, const void *data, size_t len);

#endif
