/* SPDX-License-Identifier: Apache-2.0 */
/*
 * files OPERATION ARGUMENT...: what bench/files measures and no common program does alone.
 *
 *   stat LIST, open LIST     each path of the file LIST: stat (that it is not there is well), or
 *                            open, read 4 KiB, close
 *   create DIR N, unlink DIR N, rename DIR N
 *                            N empty files, in folders of 1,000 in DIR; rename gives each another
 *                            name
 *   chmod FILE               one byte of metadata
 *   append FILE              one byte of data at the end
 *   write FILE MIB, read FILE
 *                            in order, 1 MiB at a time; write ends with fsync
 *   randwrite FILE N, randread FILE N
 *                            N times 4 KiB at random places
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOCK  4096u
#define FOLDER 1000u /* files in each */
#define MIB    (1u << 20)

static char buf[MIB];

static void die(const char *what)
{
	fprintf(stderr, "files: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int open_or_die(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC, 0644);

	if (fd < 0)
		die(path);
	return fd;
}

static void look(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0 && errno != ENOENT)
		die(path);
}

static void read_one(const char *path)
{
	int fd = open_or_die(path, O_RDONLY);

	if (read(fd, buf, BLOCK) < 0)
		die(path);
	close(fd);
}

static void each_line(const char *list, void (*fn)(const char *path))
{
	FILE *f = fopen(list, "re");
	char *line = NULL;
	size_t cap = 0;
	ssize_t n;

	if (!f)
		die(list);
	while ((n = getline(&line, &cap, f)) > 0) {
		line[n - 1] = '\0';
		fn(line);
	}
	free(line);
	fclose(f);
}

static void create(const char *path)
{
	close(open_or_die(path, O_WRONLY | O_CREAT | O_EXCL));
}

static void drop(const char *path)
{
	if (unlink(path) < 0)
		die(path);
}

static void move(const char *path)
{
	char to[4096];

	snprintf(to, sizeof(to), "%s.new", path);
	if (rename(path, to) < 0)
		die(path);
}

static void each_number(const char *dir, unsigned n, void (*fn)(const char *path))
{
	char path[4096];

	for (unsigned i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "%s/%u", dir, i / FOLDER);
		if (i % FOLDER == 0 && mkdir(path, 0755) < 0 && errno != EEXIST)
			die(path);
		snprintf(path, sizeof(path), "%s/%u/f%u", dir, i / FOLDER, i);
		fn(path);
	}
}

static void write_all(const char *path, unsigned mib)
{
	int fd = open_or_die(path, O_WRONLY | O_CREAT | O_TRUNC);

	for (unsigned i = 0; i < mib; i++)
		if (write(fd, buf, MIB) != MIB)
			die(path);
	if (fsync(fd) < 0)
		die(path);
	close(fd);
}

static void read_all(const char *path)
{
	int fd = open_or_die(path, O_RDONLY);
	ssize_t n;

	while ((n = read(fd, buf, MIB)) > 0)
		;
	if (n < 0)
		die(path);
	close(fd);
}

/* Numbers that are the same in each run (Knuth's MMIX). */
static uint64_t next(uint64_t *seed)
{
	*seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return *seed >> 33;
}

static void at_random(const char *path, unsigned n, int writes)
{
	int fd = open_or_die(path, writes ? O_WRONLY : O_RDONLY);
	off_t blocks = lseek(fd, 0, SEEK_END) / BLOCK;
	uint64_t seed = 1;

	for (unsigned i = 0; i < n; i++) {
		off_t at = (off_t)(next(&seed) % (uint64_t)blocks) * BLOCK;

		if ((writes ? pwrite(fd, buf, BLOCK, at) : pread(fd, buf, BLOCK, at)) != BLOCK)
			die(path);
	}
	close(fd);
}

static void append(const char *path)
{
	int fd = open_or_die(path, O_WRONLY | O_APPEND);

	if (write(fd, buf, 1) != 1)
		die(path);
	close(fd);
}

int main(int argc, char **argv)
{
	const char *op = argc > 2 ? argv[1] : "";
	unsigned n = argc > 3 ? (unsigned)strtoul(argv[3], NULL, 10) : 0;

	memset(buf, 'x', sizeof(buf));
	if (!strcmp(op, "stat"))
		each_line(argv[2], look);
	else if (!strcmp(op, "open"))
		each_line(argv[2], read_one);
	else if (!strcmp(op, "create"))
		each_number(argv[2], n, create);
	else if (!strcmp(op, "unlink"))
		each_number(argv[2], n, drop);
	else if (!strcmp(op, "rename"))
		each_number(argv[2], n, move);
	else if (!strcmp(op, "chmod") && chmod(argv[2], 0600) == 0)
		;
	else if (!strcmp(op, "append"))
		append(argv[2]);
	else if (!strcmp(op, "write"))
		write_all(argv[2], n);
	else if (!strcmp(op, "read"))
		read_all(argv[2]);
	else if (!strcmp(op, "randread") || !strcmp(op, "randwrite"))
		at_random(argv[2], n, op[4] == 'w');
	else
		die(op);
	return 0;
}
