/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copies of file trees, between ends either of which may be hostile: one that tells of a tree and
 * one that makes it, in one process or with a stream between them. Every name is one component
 * below a descriptor, and no link is followed.
 */
#ifndef BASE_TREE_H
#define BASE_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>

#define TREE_DEPTH_MAX 200u /* two descriptors each */

struct tree_attr {
	mode_t mode; /* S_IFMT too */
	uid_t uid;
	gid_t gid;
	struct timespec mtime;
	dev_t rdev;
};

/*
 * What is told of a tree: one node, whose name is "", and all that is in it. A directory is entered
 * and left, a file has data and an end. Each gives 0, or -errno with a text, which ends it.
 */
struct tree_sink {
	int (*enter)(void *ctx, const char *name, const struct tree_attr *a);
	int (*leave)(void *ctx);
	int (*file)(void *ctx, const char *name, const struct tree_attr *a);
	int (*data)(void *ctx, const void *data, size_t len);
	int (*end)(void *ctx);
	int (*link)(void *ctx, const char *name, const struct tree_attr *a, const char *target);
	int (*special)(void *ctx, const char *name, const struct tree_attr *a);
};

/* Tells of @name in @dir; sockets are left out: they are nothing without their server. */
int tree_read(int dir, const char *name, const struct tree_sink *sink, void *ctx);

/*
 * Makes the tree as @as of the directory @to: a file or link replaces what is no directory there, a
 * directory is joined with one that is there. Modes and times are kept.
 */
struct tree_writer {
	int to;		/* owned */
	const char *as; /* NULL: the node is a directory, and what is in it goes into @to */
	bool archive;	/* keep owners; else the files are the copying user's */
	bool to_host;	/* no set-user-ID, no devices */
	/* its own */
	unsigned depth;
	struct tree_level *levels;
	int out;
	struct tree_level *file;
};
#define TREE_WRITER_NONE ((struct tree_writer){ .to = -1, .out = -1 })
extern const struct tree_sink tree_writer_sink; /* its ctx is a struct tree_writer */
void tree_writer_done(struct tree_writer *w);

/* ---- tree_path.c: what a user names, with docker's rules for `cp` ---- */

struct tree_path {
	char *path, *parent;
	const char *name; /* the last component, in @path */
	bool slash;	  /* it ended in one: a directory is meant */
	bool content;	  /* it ended in "/.": what is in it is meant */
};

/* "a/b/c", "a/b/", "a/b/."; the root, "." and ".." are their content. 0 or -ENOMEM. */
int tree_path_init(struct tree_path *p, const char *text);
void tree_path_done(struct tree_path *p);

/* Of both a copy's ends what is known before it begins. */
struct tree_source {
	int dir;	  /* owned: the directory that @name is in */
	const char *name; /* "." or the path's own */
	bool directory;
};
/* @root: the directory that @p is resolved in, as its processes would; -1: our own. */
int tree_source_open(int root, const struct tree_path *p, struct tree_source *ret);
/*
 * Where @to leads, for a source named @name that is a directory or not, or is meant by its content:
 * sets w->to and w->as. @name and @to have to outlive the copy.
 */
int tree_target_open(int root, const struct tree_path *to, const char *name, bool directory,
		     bool content, struct tree_writer *w);

/* ---- tree_wire.c: a tree as records ---- */

#define TREE_RECORD_MAX 32768u /* bytes */

/* A sink that makes records, each handed to @send as pieces that are one: 0 or -errno. */
struct tree_encoder {
	int (*send)(void *ctx, const struct iovec *iov, unsigned n);
	void *ctx;
};
extern const struct tree_sink tree_encoder_sink; /* its ctx is a struct tree_encoder */

/* Checks what somebody hostile says to be records, and tells @sink. */
struct tree_decoder {
	const struct tree_sink *sink;
	void *ctx;
	unsigned depth;
	bool begun, in_file;
};
/* 0; 1 = that was the last one of the tree; -EPROTO or what the sink gave, with a text. */
int tree_decode(struct tree_decoder *d, const void *record, size_t len);

#endif
