/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/verdict.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/str.h"
#include "imagestore/imagestore.h"
#include <dirent.h>
#include <sys/stat.h>

#define SUFFIX ".sound"

int verdict_of(int fd, struct verdict *ret)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_sys("fstat");
	snprintf(ret->s, sizeof(ret->s), "%llu %llu %lld %lld.%09ld\n",
		 (unsigned long long)st.st_dev, (unsigned long long)st.st_ino,
		 (long long)st.st_size, (long long)st.st_ctim.tv_sec, st.st_ctim.tv_nsec);
	return 0;
}

bool verdict_known(int dir, const char *name, const struct verdict *v)
{
	_free_ char *file = str_fmt("%s" SUFFIX, name), *text = NULL;

	return dir >= 0 && file && file_read_all(dir, file, sizeof(v->s), &text, NULL) == 0 &&
	       streq(text, v->s);
}

void verdict_keep(int dir, const char *name, const struct verdict *v)
{
	_free_ char *file = str_fmt("%s" SUFFIX, name);

	if (dir >= 0 && file)
		file_replace(dir, file, v->s, strlen(v->s), 0600, false);
}

void verdicts_forget(int runroot, const char *folder, struct store *s, const char *of)
{
	_close_ int dir = openat(runroot, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = dir < 0 ? NULL : fdopendir(dup(dir));
	struct dirent *e;

	while (d && (e = readdir(d))) {
		size_t len = strlen(e->d_name), suffix = strlen(SUFFIX);
		_free_ char *file = NULL;

		if (!str_ends(e->d_name, SUFFIX))
			continue;
		file = str_fmt("%s/%.*s", of, (int)(len - suffix), e->d_name);
		if (file && faccessat(store_dirfd(s), file, F_OK, 0) < 0 && errno == ENOENT)
			unlinkat(dir, e->d_name, 0);
	}
	if (d)
		closedir(d);
}
