/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ELF vmlinux of a kernel's image. A bzImage (Linux Documentation/arch/x86/boot.rst) has it
 * packed as its payload: it is unpacked once, here, and not by each guest that boots, and its pages
 * are those that all guests map.
 */
#include "imagestore/kernel_.h"

#include <elf.h>
#include <endian.h>
#include <sys/stat.h>

#define SECTOR	   512u
#define CHUNK	   (1u << 20)
#define HEAD	   0x268u /* up to the end of the setup header that is read here */
#define GZIP_MAGIC 0x8b1fu

/* Offsets of the setup header. */
enum {
	SETUP_SECTS = 0x1f1,
	BOOT_FLAG = 0x1fe,
	MAGIC = 0x202,
	PROTOCOL = 0x206,
	XLOADFLAGS = 0x236,
	PAYLOAD_OFFSET = 0x248,
	PAYLOAD_LENGTH = 0x24c,
};

#define BOOT_FLAG_VALUE 0xaa55u
#define MAGIC_VALUE	0x53726448u /* "HdrS" */
#define PROTOCOL_MIN	0x20cu	    /* xloadflags; the payload has its place since 2.08 */
#define XLF_KERNEL_64	1u

static int bad(const char *what)
{
	return err(-EBADMSG, "kernel: %s", what);
}

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

static uint32_t get32(const uint8_t *p)
{
	return get16(p) | (uint32_t)get16(p + 2) << 16;
}

/* ---- a bzImage ---- */

/* Where its payload lies, by a head that is not to be trusted. */
static int find_payload(const uint8_t *head, uint64_t size, struct kernel_bytes *ret)
{
	uint64_t sectors = head[SETUP_SECTS] ? head[SETUP_SECTS] : 4;
	uint64_t off = (sectors + 1) * SECTOR + get32(head + PAYLOAD_OFFSET);
	uint64_t len = get32(head + PAYLOAD_LENGTH);

	if (get16(head + PROTOCOL) < PROTOCOL_MIN)
		return bad("a bzImage older than boot protocol 2.12");
	if (!(get16(head + XLOADFLAGS) & XLF_KERNEL_64))
		return bad("a bzImage without a 64-bit entry: not for x86-64");
	if (len < 8 || off > size || len > size - off)
		return bad("a bzImage whose payload lies beyond the file");
	*ret = (struct kernel_bytes){ ret->fd, off, len };
	return 0;
}

/*
 * Behind the packed bytes stands their length when unpacked: gzip has it in its own trailer, behind
 * the others Linux has put it (scripts/Makefile.lib, size_append).
 */
static int unpack_payload(struct kernel_bytes *p, int out)
{
	uint8_t ends[6];
	uint64_t want, got = 0;
	int r;

	if (fd_pread_full(p->fd, ends, 2, (off_t)p->off) != 2 ||
	    fd_pread_full(p->fd, ends + 2, 4, (off_t)(p->off + p->len - 4)) != 4)
		return bad("cut off");
	want = get32(ends + 2);
	if (want > KERNEL_IMAGE_MAX)
		return bad("a bzImage whose payload has an impossible length");
	if (get16(ends) != GZIP_MAGIC)
		p->len -= 4;
	r = kernel_unpack(p, "kernel: payload", out, want, &got);
	if (r == -EFBIG)
		err_clear();
	if (r == -EFBIG || (r >= 0 && got != want))
		return bad("a bzImage whose payload is not as long as it says");
	return r;
}

/* ---- either ---- */

static int copy_elf(int fd, uint64_t size, int out)
{
	_free_ char *buf = malloc(CHUNK);
	ssize_t n = 1;
	int r = buf ? 0 : -ENOMEM;

	for (uint64_t off = 0; r >= 0 && n > 0 && off < size; off += (uint64_t)n) {
		n = fd_pread_full(fd, buf, CHUNK, (off_t)off);
		r = n < 0 ? (int)n : fd_write_full(out, buf, (size_t)n);
	}
	return r < 0 ? err(r, "kernel: %s", strerror(-r)) : 0;
}

static int check_elf(int fd)
{
	Elf64_Ehdr h;

	if (fd_pread_full(fd, &h, sizeof(h), 0) != sizeof(h) ||
	    memcmp(h.e_ident, ELFMAG, SELFMAG) != 0 || h.e_ident[EI_CLASS] != ELFCLASS64 ||
	    h.e_machine != EM_X86_64 || (h.e_type != ET_EXEC && h.e_type != ET_DYN))
		return bad("what is packed in it is no vmlinux for x86-64");
	return 0;
}

int kernel_image_unpack(int fd, int out)
{
	uint8_t head[HEAD] = { 0 };
	struct kernel_bytes payload = { .fd = fd };
	struct stat st;
	ssize_t n;
	int r;

	if (fstat(fd, &st) < 0)
		return err_sys("kernel");
	n = fd_pread_full(fd, head, sizeof(head), 0);
	if (!S_ISREG(st.st_mode) || n < 0 || (uint64_t)st.st_size > KERNEL_IMAGE_MAX)
		return bad("not a file of a possible size");
	if (n >= SELFMAG && memcmp(head, ELFMAG, SELFMAG) == 0) {
		r = copy_elf(fd, (uint64_t)st.st_size, out);
		return r < 0 ? r : check_elf(out);
	}
	if (n < (ssize_t)sizeof(head) || get16(head + BOOT_FLAG) != BOOT_FLAG_VALUE ||
	    get32(head + MAGIC) != MAGIC_VALUE)
		return err(-ENOEXEC, "kernel: neither a vmlinux nor a bzImage");
	r = find_payload(head, (uint64_t)st.st_size, &payload);
	if (r >= 0)
		r = unpack_payload(&payload, out);
	return r < 0 ? r : check_elf(out);
}

/* ---- what it says of itself ---- */

static const char banner[] = "Linux version ";

/* Its release, behind a banner at @p; a format of one has none. */
static void take_version(const char *p, size_t len, struct kernel_image *k)
{
	static const char good[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.+-~";
	size_t n = 0;

	while (n < len && p[n] && strchr(good, p[n]))
		n++;
	if (n && n < len && n < sizeof(k->version) && p[n] == ' ' && p[0] >= '0' && p[0] <= '9') {
		memcpy(k->version, p, n);
		k->version[n] = '\0';
	}
}

static bool has(const char *data, size_t len, const char *text)
{
	return memmem(data, len, text, strlen(text)) != NULL;
}

static void look(const char *data, size_t len, struct kernel_image *k)
{
	const char *end = data + len, *p = data;

	while (!k->version[0] && (p = memmem(p, (size_t)(end - p), banner, strlen(banner)))) {
		p += strlen(banner);
		take_version(p, (size_t)(end - p), k);
	}
	k->mptable = k->mptable || has(data, len, "Intel MultiProcessor Specification");
	k->virtio_mmio = k->virtio_mmio || has(data, len, "virtio-mmio");
	k->cmdline_devices = k->cmdline_devices || has(data, len, KERNEL_CMDLINE_DEVICES);
}

int kernel_image_look(int fd, struct kernel_image *ret)
{
	const size_t overlap = 128; /* longer than anything that is sought */
	_free_ char *buf = malloc(CHUNK + overlap);
	struct kernel_image k = { 0 };
	size_t kept = 0;
	ssize_t n = 1;

	if (!buf)
		return -ENOMEM;
	for (uint64_t off = 0; n > 0 && off < KERNEL_IMAGE_MAX; off += CHUNK) {
		size_t len;

		n = fd_pread_full(fd, buf + kept, CHUNK, (off_t)off);
		if (n <= 0)
			break;
		len = kept + (size_t)n;
		look(buf, len, &k);
		kept = MIN(len, overlap);
		memmove(buf, buf + len - kept, kept);
	}
	if (n < 0)
		return err((int)n, "kernel: %s", strerror((int)-n));
	if (!k.version[0])
		return bad("not Linux: it says no version");
	*ret = k;
	return 0;
}

int kernel_release_of(const char *path, struct kernel_release *ret)
{
	_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct kernel_image k;
	int r = fd < 0 ? err_sys("%s", path) : kernel_image_look(fd, &k);

	if (r >= 0)
		snprintf(ret->s, sizeof(ret->s), "%s", k.version);
	return r;
}
