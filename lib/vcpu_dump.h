/* SPDX-License-Identifier: MIT */
/* Memory and processors in the files of other programs.
 *
 *     vcpu_dump_load(v, data, len, &error);
 *     vcpu_run(v, 1000000);
 *
 * V is a bare machine; DATA is a vmcore of Linux or QEMU, compressed or not, or a Windows crash dump.
 * The library opens no files: the caller reads or maps them. A file may be damaged or hostile. */
#ifndef VCPU_DUMP_H
#define VCPU_DUMP_H

#include <vcpu.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Load the memory of a dump of LEN bytes at DATA into V, a bare machine without memory, and the registers of its first
 * processor, as far as the dump has them. Pages that the dump does not have are as memory that vcpu_protect denies.
 *
 *   ELF core   of 64 bits: /proc/vmcore of Linux, QEMU's dump-guest-memory, vcpu_dump_save. The registers of a note
 *              "QEMU"; else the general ones of NT_PRSTATUS, flat segments, and CR3 by VMCOREINFO.
 *   kdump      the compressed dumps of makedumpfile and of QEMU's dump-guest-memory: zlib, LZO, snappy, and zstd if the
 *              library was built with libzstd; and flattened files, of these and of ELF cores. The registers of their
 *              notes.
 *   Windows    crash dumps of 64 bits: full (type 1) and bitmap (type 5). The general registers of the context
 *              record, its x87 and XMM registers, flat segments, and CR3 of the header.
 *
 * The processor is in 64-bit mode then, with EFER.NXE and SCE, and runs only if the pages that it needs are there.
 * False with one line in *ERROR: DATA is no such dump, damaged, beyond 256 GiB, or V is not such a machine; V has not
 * changed, or, if the host has no memory or the processor cannot have a register, is good for vcpu_free only. */
VCPU_API bool vcpu_dump_load(vcpu *v, const void *data, size_t len, char **error);
/* Write memory and processors as an ELF core of 64 bits, as QEMU's dump-guest-memory does: for Debian's crash, gdb (by
 * physical addresses) and drgn. VMCOREINFO is copied if a Linux guest has it in its memory. WRITE is called with the
 * pieces in order; pages of zeroes that the guest never wrote are written, too. It returns false to end. Returns 0, or
 * -1 with vcpu_error. */
VCPU_API int vcpu_dump_save(vcpu *v, bool (*write)(void *user, const void *data, size_t len), void *user);
/* Set registers of the selected processor, which has 64-bit mode, from JSON: wtf's regs.json (of bdump, too) or
 * bochscpu's state. Names are theirs; those that are missing or unknown are left. Values are numbers, or texts as
 * strtoull reads them. False with one line in *ERROR: TEXT is damaged, or the processor cannot have a value (--cpu:
 * another model); some registers may have been set. */
VCPU_API bool vcpu_registers_load(vcpu *v, const char *text, size_t len, char **error);
/* The registers of the selected processor as wtf's regs.json, which bochscpu's names are in, too; malloc'd. NULL: the
 * host has no memory, or V is NULL. */
VCPU_API char *vcpu_registers_json(const vcpu *v);

#ifdef __cplusplus
}
#endif
#endif
