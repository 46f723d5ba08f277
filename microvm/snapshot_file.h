/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A snapshot as a file (docs/formats/snapshot.md): a head, records, extents of memory, the memory,
 * and, when somebody has learnt them, the runs of it that are touched first.
 * It may have been tampered with: the reader checks all that it gives.
 */
#ifndef MICROVM_SNAPSHOT_FILE_H
#define MICROVM_SNAPSHOT_FILE_H

#include "base/buf.h"
#include "base/sha256.h"
#include <stddef.h>
#include <stdint.h>

#define SNAPSHOT_PAGE	     4096u
#define SNAPSHOT_EXTENTS_MAX 4096u

enum snapshot_record_type {
	SNAPSHOT_VM = 1, /* struct snapshot_vm (snapshot.c) */
	SNAPSHOT_CPUID,	 /* struct kvm_cpuid_entry2, all of vCPU 0 */
	SNAPSHOT_IOAPIC, /* struct snapshot_ioapic (snapshot.c) */
	SNAPSHOT_DEVICE, /* of each device in order (virtio/mmio_state.c) */
	/* Of each vCPU, as KVM has them (linux/kvm.h). */
	SNAPSHOT_MP_STATE,
	SNAPSHOT_REGS,
	SNAPSHOT_SREGS,
	SNAPSHOT_LAPIC,
	SNAPSHOT_MSRS, /* struct kvm_msr_entry, each */
	SNAPSHOT_XCRS,
	SNAPSHOT_XSAVE,
	SNAPSHOT_DEBUGREGS,
	SNAPSHOT_EVENTS,
	SNAPSHOT_NOTE, /* of who saved it */
};

/* Memory that is in the file; the rest is zero. Bytes, in pages; ascending. */
struct snapshot_extent {
	uint64_t off, len;
};

/* Pages, one after the other, that a machine touches which begins here. */
struct snapshot_run {
	uint32_t page;
	uint16_t n, written; /* @written: 1 = they are written to, 0 = only read */
};
#define SNAPSHOT_RUNS_MAX    4096u
#define SNAPSHOT_TOUCHED_MAX 16384u /* pages of all runs: 64 MiB */

/* ---- writing ---- */

struct snapshot_writer {
	struct buf records;
	uint32_t nrecords;
};

void snapshot_writer_done(struct snapshot_writer *w);
/* A record; @index tells those of one type apart. A failure shows in finish. */
void snapshot_writer_add(struct snapshot_writer *w, enum snapshot_record_type type, uint32_t index,
			 const void *data, size_t len);
/* Writes the file, with the extents of the @size bytes of memory at @memory. */
int snapshot_writer_finish(struct snapshot_writer *w, int fd, const struct digest *key,
			   const uint8_t *memory, uint64_t size,
			   const struct snapshot_extent *extents, size_t n);

/* ---- reading ---- */

struct snapshot_file {
	int fd; /* the caller's */
	uint64_t memory, data_off, data_len;
	uint32_t nrecords, nextents, nruns;
	struct digest head, data_digest;
	uint8_t *state;
	size_t records_len;
	struct snapshot_extent *extents; /* in state */
	struct snapshot_run *runs;	 /* the same, behind them */
};

/*
 * Checks all but the memory. -EBADMSG: malformed; -ESTALE: of another key (NULL: any will do) or
 * version.
 */
int snapshot_file_open(int fd, const struct digest *key, struct snapshot_file *ret);
void snapshot_file_done(struct snapshot_file *f);
/* A record of a known length, copied to @data: 0 or -EBADMSG. */
int snapshot_file_get(const struct snapshot_file *f, enum snapshot_record_type type, uint32_t index,
		      void *data, size_t len);
/* A record of any length, NULL = there is none. Aligned for 64-bit words. */
const void *snapshot_file_find(const struct snapshot_file *f, enum snapshot_record_type type,
			       uint32_t index, size_t *ret_len);
/* Adds @runs, checked as a reader would, to a file that has none and is open for writing. */
int snapshot_file_add_runs(const struct snapshot_file *f, const struct snapshot_run *runs,
			   uint32_t n);
/* The memory against its digest: 0 or -EBADMSG. */
int snapshot_file_verify(const struct snapshot_file *f);

#endif
