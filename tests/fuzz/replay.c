/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The main of a fuzz target that is not run by libFuzzer: hands each file of
 * tests/fuzz/corpus/<name of this program> to LLVMFuzzerTestOneInput, one TAP line per file. A
 * folder may be given as the argument instead; a file too, to look at one finding.
 */
#include "base/fd.h"
#include "base/mem.h"
#include "base/str.h"
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define INPUT_MAX (64u << 20) /* bytes of one input */

static int skip_dots(const struct dirent *d)
{
	return d->d_name[0] != '.';
}

/* Replays @name of @dirfd as test number @i; a crash is the test's failure. */
static int replay(int dirfd, const char *name, int i)
{
	_free_ char *data = NULL;
	_free_ uint8_t *exact = NULL;
	size_t len;
	int r = file_read_all(dirfd, name, INPUT_MAX, &data, &len);

	if (r >= 0 && !(exact = malloc(len ? len : 1)))
		r = -ENOMEM;
	if (r < 0) {
		printf("not ok %d - %s: %s\n", i, name, strerror(-r));
		return 1;
	}
	memcpy(exact, data, len); /* without the NUL behind it, so that a sanitizer sees the end */
	LLVMFuzzerTestOneInput(exact, len);
	printf("ok %d - %s\n", i, name);
	return 0;
}

static int replay_folder(const char *path)
{
	struct dirent **names = NULL;
	int failed = 0, n = scandir(path, &names, skip_dots, alphasort);
	_close_ int dirfd = n < 0 ? -1 : open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (dirfd < 0) {
		printf("1..1\nnot ok 1 - %s: %s\n", path, strerror(errno));
		return 1;
	}
	printf("1..%d%s\n", n, n ? "" : " # SKIP no corpus");
	for (int i = 0; i < n; i++) {
		failed |= replay(dirfd, names[i]->d_name, i + 1);
		fflush(stdout);
		free(names[i]);
	}
	free(names);
	return failed;
}

int main(int argc, char **argv)
{
	const char *slash = strrchr(argv[0], '/');
	_free_ char *path = NULL;
	struct stat st;

	if (argc > 1 && stat(argv[1], &st) == 0 && S_ISREG(st.st_mode)) {
		printf("1..1\n");
		return replay(AT_FDCWD, argv[1], 1);
	}
	path = str_fmt("tests/fuzz/corpus/%s", slash ? slash + 1 : argv[0]);
	if (!path)
		return 1;
	return replay_folder(argc > 1 ? argv[1] : path);
}
