/* SPDX-License-Identifier: Apache-2.0 */
/*
 * floor FILE BLOB...
 *
 * What no pull can do without: each BLOB (gzip or zstd) read, hashed, unpacked, hashed again and
 * written to FILE, once; then syncfs. bench/imagestore has it as the measure of the others.
 */
#include <fcntl.h>
#include <isa-l.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <zstd.h>

#define CHUNK (256 << 10)

static unsigned char in[CHUNK], out[CHUNK];

static void die(const char *what)
{
	perror(what);
	exit(1);
}

struct sums {
	EVP_MD_CTX *blob, *raw;
	int fd;
};

static void put(struct sums *s, size_t len)
{
	EVP_DigestUpdate(s->raw, out, len);
	if (len && write(s->fd, out, len) != (ssize_t)len)
		die("write");
}

/* One member, as what makes layers writes. */
static void gunzip(struct sums *s, int fd, ssize_t n)
{
	static struct inflate_state z;

	isal_inflate_init(&z);
	z.crc_flag = ISAL_GZIP;
	for (; n > 0; n = read(fd, in, CHUNK)) {
		EVP_DigestUpdate(s->blob, in, (size_t)n);
		z.next_in = in;
		z.avail_in = (uint32_t)n;
		do {
			z.next_out = out;
			z.avail_out = CHUNK;
			if (isal_inflate(&z) < 0)
				die("gzip");
			put(s, CHUNK - z.avail_out);
		} while ((z.avail_in && z.block_state != ISAL_BLOCK_FINISH) || !z.avail_out);
	}
}

static void unzstd(struct sums *s, int fd, ssize_t n)
{
	ZSTD_DStream *z = ZSTD_createDStream();

	for (; n > 0; n = read(fd, in, CHUNK)) {
		ZSTD_inBuffer from = { in, (size_t)n, 0 };
		ZSTD_outBuffer to;

		EVP_DigestUpdate(s->blob, in, (size_t)n);
		do {
			to = (ZSTD_outBuffer){ out, CHUNK, 0 };
			if (ZSTD_isError(ZSTD_decompressStream(z, &to, &from)))
				die("zstd");
			put(s, to.pos);
		} while (from.pos < from.size || to.pos == to.size);
	}
	ZSTD_freeDStream(z);
}

int main(int argc, char **argv)
{
	struct sums s = { EVP_MD_CTX_new(), EVP_MD_CTX_new(), -1 };

	s.fd = argc > 2 ? open(argv[1], O_WRONLY | O_CREAT | O_TRUNC, 0644) : -1;
	if (s.fd < 0)
		die("floor FILE BLOB...");
	for (int i = 2; i < argc; i++) {
		int fd = open(argv[i], O_RDONLY);
		ssize_t n = read(fd, in, CHUNK);

		if (n < 2)
			die(argv[i]);
		EVP_DigestInit_ex(s.blob, EVP_sha256(), NULL);
		EVP_DigestInit_ex(s.raw, EVP_sha256(), NULL);
		(in[0] == 0x1f ? gunzip : unzstd)(&s, fd, n);
		close(fd);
	}
	if (syncfs(s.fd) < 0)
		die("syncfs");
	return 0;
}
