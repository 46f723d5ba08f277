/* SPDX-License-Identifier: Apache-2.0 */
/* strata-image: the verbs that move and make images, with the libraries for it. Started by strata.
 */
#include "cli/cli.h"
#include <malloc.h>

/*
 * libc's heaps. A thread with one of its own keeps what it has freed from the others; and what is
 * given back to the kernel is cleared and mapped again for the next layer. Most of a pull's memory
 * is large buffers that come and go.
 */
#define HEAPS 2
#define KEPT  (32 << 20) /* bytes that a heap keeps; the most that M_MMAP_THRESHOLD takes */

static const struct verb verbs[] = {
	{ "build", verb_build, "build an image from a Containerfile" },
	{ "pull", verb_pull, "take an image from a registry" },
	{ "fetch", verb_fetch, NULL },
	{ "push", verb_push, "send an image to a registry" },
	{ "login", verb_login, "keep a password for a registry" },
	{ "logout", verb_logout, "forget the password for a registry" },
	{ "commit", verb_commit, "make an image of an instance and its changes" },
	{ "import", verb_import, "make an image of one layer from a directory or a tar" },
	{ "load", verb_load, "take images from an OCI layout (folder or tar)" },
	{ "save", verb_save, "write images as an OCI layout (folder or tar)" },
	{ "fsck", verb_fsck, "check every byte of the store" },
	{ "kernel", verb_kernel, "build, import, list, choose and remove kernels of microVMs" },
	{ 0 },
};

int main(int argc, char **argv)
{
	mallopt(M_ARENA_MAX, HEAPS);
	mallopt(M_MMAP_THRESHOLD, KEPT);
	mallopt(M_TRIM_THRESHOLD, KEPT);
	return cli_main(verbs, argc, argv);
}
