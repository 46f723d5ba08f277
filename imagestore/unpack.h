/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A layer being made of a tar: its tree, and where each content goes. Nothing of the tar is ever
 * created on the host.
 *
 * What docker does decides where the OCI spec is silent: the last of two entries of one name wins;
 * a directory over a directory keeps what is in it, over anything else it begins empty, and
 * anything over a directory takes all below it away. A whiteout applies to lower layers only,
 * wherever it stands in the archive: over a directory of this layer it makes it opaque, over a file
 * of this layer it does nothing.
 */
#ifndef IMAGESTORE_UNPACK_H
#define IMAGESTORE_UNPACK_H

#include "imagestore/digest_set.h"
#include "imagestore/frame.h"
#include "imagestore/pack.h"
#include "imagestore/tar.h"

#define INLINE_BUDGET (16u << 20) /* bytes of contents in one index; further ones go to the pack */
#define METADATA_MAX  (512ull << 20) /* bytes of names, links and xattrs of one layer */

/* Up to this, what the store has already is not written once more to find that out. */
#define UNPACK_WHOLE_MAX (4u << 20)
#define UNPACK_PIECE	 (256u << 10) /* unpacked at once: it is hashed while a cache has it */
#define UNPACK_WINDOW	 (UNPACK_WHOLE_MAX + UNPACK_PIECE)

enum unpack_place { PLACE_NONE, PLACE_RAW, PLACE_SMALL, PLACE_WHOLE, PLACE_OBJECT };

struct unpack {
	struct txn *t;
	struct store_bounds bounds; /* none is 0 */
	struct tar_reader *tar;
	struct layer_tree *tree;
	struct frame_writer *frame;
	struct pack pack;
	struct digest_set objects;
	struct sha256 tar_hash; /* of all raw() and data() so far; of a small file at its end */
	uint64_t bytes, entries, metadata, inlined;
	/* Says what a content is, when entries come without theirs; NULL: they come with it. */
	int (*outline)(struct unpack *u, struct layer_node *node, const struct tar_entry *e);
	void *outline_ctx;

	/* the content under way */
	struct layer_node *node; /* NULL: what a whiteout carries */
	enum unpack_place place;
	uint64_t size;
	size_t have;
	uint8_t *content; /* of PLACE_SMALL and PLACE_WHOLE: what there is of it, in the window */
	struct out_file object;
	struct sha256 hash;	      /* of an object that is not sparse */
	struct tar_segment *segments; /* of a sparse file, else NULL */
	size_t nsegments, segment;    /* segment: the one under way */
	uint64_t at, expanded;	      /* at: in that file; expanded: zeros of all sparse files */
	uint8_t *sparse; /* LAYER_PACK_MAX bytes: a small one; NULL until there is one */
	uint8_t window[UNPACK_WINDOW];
};

int unpack_new(struct txn *t, const struct store_bounds *b, struct unpack **ret);
/* For a tree alone, of entries that the caller gives to unpack_entry(). */
int unpack_outline_new(const struct store_bounds *b,
		       int (*outline)(struct unpack *, struct layer_node *,
				      const struct tar_entry *),
		       void *ctx, struct unpack **ret);
void unpack_free(struct unpack *u);
/* Bytes of the tar; the signature of a sink. */
int unpack_feed(void *unpack, const void *data, size_t len);
/*
 * Where the next bytes may be put that unpack_feed() gets, all of them and nothing between: then
 * contents are not copied to be whole (decompress_into()).
 */
void *unpack_room(struct unpack *u, size_t *ret_len);
/*
 * The end: the layer stands in the transaction, or one that was there is pinned. @layer has its
 * blob already and gets the diffID, which must be @expect unless that is NULL.
 */
int unpack_finish(struct unpack *u, const struct digest *expect, struct image_layer *layer);

/* Bytes that stand in the frame as they are: what is no content. */
int unpack_raw(void *unpack, const void *data, size_t len);
/* unpack_entry.c, unpack_content.c: what else the tar reader calls. */
int unpack_entry(void *unpack, const struct tar_entry *e);
int unpack_data(void *unpack, const void *data, size_t len);
int unpack_entry_end(void *unpack);
/* Whether the next content, of @size bytes, goes into the index: to be asked once for each. */
bool unpack_inlines(struct unpack *u, uint64_t size);
/* Begins the content of @node, which is of @e. */
int unpack_content(struct unpack *u, struct layer_node *node, const struct tar_entry *e);

/* unpack_path.c: a name of the archive as a place in the tree. */
struct unpack_place_of {
	struct layer_node *dir; /* NULL: the root itself */
	char name[LAYER_NAME_MAX + 1];
	size_t len;
	bool aufs; /* below one of aufs' own files: to be left out */
};
int unpack_find_place(struct unpack *u, const char *path, struct unpack_place_of *ret);
/* Without anything between: "./a//b/" -> "a/b"; @out has TAR_PATH_MAX + 1 bytes. */
int unpack_plain_path(const char *path, char *out);
/*
 * The node at a plain path, or NULL; *@ret_hidden: no lower layer can have it there either. Where
 * symbolic links of this layer lead elsewhere, *@plain, on the heap, becomes that path.
 */
int unpack_lookup(struct unpack *u, char **plain, struct layer_node **ret, bool *ret_hidden);
/* A directory that hides what lower layers have in it. */
int unpack_make_opaque(struct layer_node *dir);

#endif
