/* SPDX-License-Identifier: MIT */
/* Boot images: reading them, telling them apart, and putting them into the memory of a PC as their boot protocol says.
 * */
#ifndef LIB_LOAD_H
#define LIB_LOAD_H

#include "lib/vcpu.h"
#include "mem/base/bits.h"

/* A file's contents. */
struct blob {
	u8 *data;    /* malloc'd; NULL when there is none */
	size_t size;
	char *name;  /* for messages, malloc'd */
	char *text;  /* a module's command line, malloc'd, or NULL */
	bool lent;   /* the data is a template's: struct boot has it mapped */
};

enum image_kind { IMAGE_NONE, IMAGE_LINUX, IMAGE_MULTIBOOT, IMAGE_PVH, IMAGE_FLAT, IMAGE_MULTIBOOT2 };

/* Bytes for an address. */
struct extra {
	u64 at;
	bool file;   /* the bytes are of a file, else of the configuration */
	struct blob blob;
};

/* What a machine boots: kept as long as it lives, so that it can boot again. */
struct boot {
	enum image_kind kind;
	struct blob kernel;
	struct blob bios;        /* firmware that is started first; no data: we load the kernel ourselves */
	struct blob *modules;
	unsigned nmodules;
	struct extra *extras;    /* go into memory behind all else, at power-on and at every reset */
	unsigned nextras;
	char *append; /* never NULL once read */
	void *mapped; /* the images, if they are those of a template; MAPPED_SIZE bytes */
	size_t mapped_size;
	u64 hash;     /* of all of it */
	const struct reach *reach; /* while it is being read: boot_read's */
};

#define BOOT_MODULES_MAX 256

/* Read what CONFIG names, as far as REACH (io/disk/reach.h) lets a stranger's go; NULL: it is the user's own. No file
 * may be larger than LIMIT bytes. False: *ERROR says which file and what is wrong; BOOT is empty. */
bool boot_read(struct boot *boot, const struct vcpu_config *config, u64 limit, const struct reach *reach, char **error);
void boot_free(struct boot *boot);
/* Put it into memory and set up the processor. False: *ERROR says what is wrong; memory may have been written. */
bool boot_load(struct vcpu *v, char **error);

/* ---- what the loaders share (load.c) ---- */

/* Read file NAME, or SIZE bytes at DATA, into *B; GIVEN: the user says that the file is this one now. False: *ERROR
 * says why not; what B has is to be freed. */
bool blob_read(struct blob *b, const char *name, const void *data, size_t size, u64 limit, const struct reach *reach,
	const char *given, char **error);
/* Is [BASE, BASE + LEN) RAM below 4 GiB that a loader may fill? */
bool load_room(const struct vcpu *v, u64 base, u64 len);
void load_bytes(struct vcpu *v, u64 base, const void *data, u64 len);
/* Zero a stretch; pages that nobody has written are left alone. */
void load_zero(struct vcpu *v, u64 base, u64 len);
/* Write four descriptors at BASE, of which selector CODE (8 or 10h) is flat code and the one behind it flat data, and
 * point GDTR there. */
void load_gdt(struct vcpu *v, u64 base, u16 code, bool wide);

/* Where the modules went, and where there is room for what the kernel is told about the machine. */
struct placement {
	u64 module[BOOT_MODULES_MAX];
	u64 info; /* next free address; multiple of 8 */
};
/* Load the modules behind a kernel that fills [LOW, HIGH), and find room for all texts and tables (EXTRA bytes beside
 * the texts). */
bool load_modules(struct vcpu *v, u64 low, u64 high, u64 extra, struct placement *p, char **error);
/* Write LEN bytes to p->info and go on behind them. Returns where they are. */
u64 load_put(struct vcpu *v, struct placement *p, const void *data, u64 len);

#define LOAD_GDT_SIZE 32u

/* ---- what both versions of multiboot share (load_multiboot.c) ---- */

/* What a header says about an image of any format: the address of the header itself, where what is loaded begins and
 * ends, where the zeroes behind it end. An end of 0: that of the file; no zeroes. */
struct addresses { u64 header, load, load_end, bss_end; };
/* Load the image, whose header is at offset AT of the file, there. [*LOW, *HIGH) spans what was filled. */
bool load_by_address(struct vcpu *v, u32 at, const struct addresses *a, u64 *low, u64 *high, char **error);
/* Enter at ENTRY in flat 32-bit protected mode, with MAGIC in EAX and INFO in EBX. P has room for a GDT. */
void load_enter(struct vcpu *v, u64 entry, u32 magic, u64 info, const struct placement *p);

/* ---- the kinds ---- */

bool linux_is(const struct blob *b);
bool linux_is_64(const struct blob *b); /* it has an entry for 64-bit mode */
bool linux_load(struct vcpu *v, char **error);
u32 linux_setup_size(const struct blob *b); /* bytes in front of the kernel proper: boot sector and setup code */

/* What a boot loader does that enters the setup code in real mode, at LINUX_REAL / 16 + 20h:0. */
#define LINUX_REAL 0x10000u         /* where boot sector and setup code go, with 64 KiB for them, heap and stack */
#define LINUX_REAL_CMDLINE 0x20000u
struct linux_setup {
	u32 size;         /* of boot sector and setup code */
	u8 header[0x9f];  /* the setup header, from offset 1F1h, with our answers */
	u32 header_size;
	u64 initrd;       /* where the initial RAM disk goes, if there is one */
};
/* False: *ERROR says why the kernel cannot be started so. */
bool linux_in_real_mode(const struct vcpu *v, struct linux_setup *out, char **error);

/* Offset of the multiboot header; -1: there is none. */
long multiboot_find(const struct blob *b);
/* Something in it looks like a multiboot header: TEXT gets what is wrong with it. For messages. */
bool multiboot_almost(const struct blob *b, char *text, size_t size);
bool multiboot_load(struct vcpu *v, char **error);

/* The same for a multiboot 2 header. */
long multiboot2_find(const struct blob *b);
bool multiboot2_almost(const struct blob *b, char *text, size_t size);
bool multiboot2_load(struct vcpu *v, char **error);

bool elf_is(const struct blob *b);
bool elf_is_64(const struct blob *b); /* its class, where it is an ELF */
/* False: *ERROR says why this is no ELF for us. *PVH: it has the note, *ENTRY is what it says. */
bool elf_check(const struct blob *b, bool *pvh, u64 *entry, char **error);
/* Load all segments at their physical addresses. *ENTRY is the physical entry point, [*LOW, *HIGH) spans what was
 * filled. */
bool elf_load(struct vcpu *v, const struct blob *b, u64 *entry, u64 *low, u64 *high, char **error);
bool pvh_load(struct vcpu *v, char **error);
/* Its table of section headers: COUNT of SIZE bytes each at OFFSET of the file. COUNT is 0: it has none. NAMES: the
 * number of the section with the names. */
struct elf_sections { u64 offset; u32 count, size, names; };
/* False: *ERROR says what is wrong with the table, or with a section. */
bool elf_find_sections(const struct blob *b, struct elf_sections *s, char **error);
/* Load the sections that have no address from *HIGH on, which moves behind them, and write their addresses into
 * HEADERS, a copy of the table. A section that the machine has no room for keeps the address 0. */
void elf_load_sections(struct vcpu *v, const struct blob *b, const struct elf_sections *s, u8 *headers, u64 *high);

/* ---- beside the image (load_extra.c) ---- */

/* Add what TEXT, "ADDRESS=FILE" or "ADDRESS=hex:BYTES", says to BOOT. False: *ERROR says why not. */
bool extra_read(struct boot *boot, const char *text, u64 limit, char **error);
/* Put them all into memory. False: *ERROR says which has no room there. */
bool extras_load(struct vcpu *v, char **error);

#endif
