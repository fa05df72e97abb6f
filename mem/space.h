/* SPDX-License-Identifier: MIT */
/* An address space: ranges of RAM, ROM and devices. Physical memory is one instance, the 64 KiB of I/O ports
 * another.
 *
 * A later range lies over an earlier one of the same rank, as a card's decode lies over RAM. Without a range, reads
 * give all ones and writes are lost. RAM is allocated lazily: a guest of 4 GiB costs the host the pages that were
 * accessed. */
#ifndef MEM_SPACE_H
#define MEM_SPACE_H

#include "mem/base/bits.h"

#define PAGE_SHIFT 12
#define PAGE_SIZE 4096u
#define PAGE_MASK (~(u64)(PAGE_SIZE - 1))

/* Flags of a page of RAM. */
enum {
	PAGE_KEPT = 1,  /* has been written, ever */
	PAGE_CODE = 2,  /* decoded instructions come from it: ram->written is called for a write */
	PAGE_ROM = 4,   /* writes are dropped */
	PAGE_WATCH = 8, /* a debugger watches it: accesses take the slow path */
	PAGE_SINCE = 0x10,    /* written since the last snapshot in memory */
	PAGE_UNHASHED = 0x20, /* written since the last hash */
	PAGE_OWN = 0x40,      /* has memory of the host; without it, a page that is kept shares a file's (ram_share) */
	PAGE_MARKED = 0x80,   /* written since the caller's mark (vcpu_dirty_mark) */
	PAGE_CHANGED = PAGE_SINCE | PAGE_UNHASHED | PAGE_MARKED, /* it has other contents */
	PAGE_DIRTY = PAGE_KEPT | PAGE_OWN | PAGE_CHANGED, /* what a write sets */
};

#define RAM_GROUP 64u

struct ram {
	u8 *host;    /* contiguous */
	u64 size;    /* bytes, multiple of PAGE_SIZE */
	u8 *pages;   /* PAGE_* flags, one byte a page */
	u8 *groups;  /* one byte for RAM_GROUP pages: at least those flags of PAGE_DIRTY that any of them has */
	bool shares; /* ram_share was called: parts of it are mapped from a file */
	bool borrowed; /* host belongs to somebody else */
	struct ram *next; /* for a list of the owner's */
	u8 *denied;  /* one byte a page: kinds of accesses (bits of enum access) that a processor may not make; NULL: it
	                may make all */
	/* Called after bytes of a PAGE_CODE page changed; ADDR is physical in the space that the RAM was first put in.
	 * */
	void (*written)(void *owner, u64 addr, unsigned len);
	void (*watched)(void *owner, u64 addr, unsigned len); /* the same for PAGE_WATCH */
	void *owner;
};

/* SIZE bytes of zeroed RAM, allocated lazily; NULL: the host has no memory. ram_free accepts NULL. */
struct ram *ram_new(u64 size);
/* The same of SIZE bytes at HOST, which the caller frees after it. SIZE is a multiple of PAGE_SIZE. */
struct ram *ram_borrow(void *host, u64 size);
/* The kinds of accesses to PAGE that DENIED has bits of are denied. False: the host has no memory. */
bool ram_deny(struct ram *ram, u64 page, u8 denied);
static inline unsigned ram_denied(const struct ram *ram, u64 page)
{
	return unlikely(ram->denied != NULL) ? ram->denied[page] : 0;
}
void ram_free(struct ram *ram);
/* All of it becomes zeroes, which the host does not hold. A write through the host pointer must set PAGE_DIRTY again:
 * drop what remembers that it is set, here and after the two below. False: the host has no memory; nothing changed. */
bool ram_clear(struct ram *ram);
/* PAGES pages from PAGE on, which are zeroes, are those of FD from OFFSET on, a file that never changes. They are
 * copied when they are written, one by one, by the host's pages. False: the host cannot read them. */
bool ram_share(struct ram *ram, u64 page, u64 pages, int fd, u64 offset);
/* The first page from PAGE on with FLAG, one of PAGE_DIRTY; END if there is none. */
u64 ram_next(struct ram *ram, u64 page, u64 end, u8 flag);
/* Give the memory of pages back that were written and are zeroes. Returns the number of pages. */
u64 ram_trim(struct ram *ram);

/* A device's view: OFFSET from the start of its range, SIZE 1, 2, 4 or 8 bytes. It is asked only for sizes within [min,
 * max] of its range: wider and unaligned accesses are cut into naturally aligned ones (by OFFSET), narrower ones are
 * widened with a read. An access never runs over the range's end, if its size is a multiple of min. */
struct device_ops {
	u64 (*read)(void *owner, u64 offset, unsigned size);
	void (*write)(void *owner, u64 offset, unsigned size, u64 value);
	u8 min, max; /* 0 means 1 and 4 */
};

/* What N reads of SIZE bytes at OFFSET, one after the other, would give, into OUT; how many of them were made, 0: use
 * read. */
typedef u64 read_string(void *owner, u64 offset, unsigned size, void *out, u64 n);

enum range_kind { RANGE_NONE, RANGE_RAM, RANGE_DEVICE };

struct range {
	u64 base, size;             /* bytes */
	enum range_kind kind;
	struct ram *ram;            /* RANGE_RAM: */
	u64 ram_offset;             /*   byte of the RAM that base shows */
	bool rom;                   /*   writes vanish, or */
	/*  go to what lies under it (a rom only): shadow memory being filled, flash taking commands */
	bool through;
	const struct device_ops *ops; /* RANGE_DEVICE: */
	void *owner;
	read_string *string;        /*   may be NULL */
	const char *name;
	int rank;                   /* the table is in this order */
	int number;                 /* what space_add_* returned; ranges move in the table, numbers stay */
};

struct piece;

struct space {
	struct range *ranges; /* later ones on top */
	unsigned count, room;
	/* the map seen from above, piece by piece in order of address; made at the first look after a change */
	struct piece *pieces;
	unsigned npieces;     /* 0: not made */
	u64 mask;             /* address bits that exist; A20 clears bit 20 here */
	void (*changed)(void *owner); /* the map changed: cached translations are void */
	void *owner;
	/* The last answer, kept by space_read and friends: addresses [hit_first, hit_last] are ranges[hit]
	 * (SPACE_NOTHING: nothing is there). */
	u64 hit_first, hit_last;
	unsigned hit;
	u64 calls;            /* of devices' callbacks */
	/* The same of space_ram: addresses [ram_first, ram_last] are RAM of ranges[ram_hit], from ram_host on. */
	u64 ram_first, ram_last;
	unsigned ram_hit;
	u8 *ram_host;
};
#define SPACE_NOTHING (~0u)

void space_init(struct space *space);
void space_free(struct space *space);
/* Make room for MORE ranges: that many can be put in without asking the host for memory. False: it has none. */
bool space_reserve(struct space *space, unsigned more);
/* Put a range on top. Returns its number, for space_remove; -1 when the host has no memory, or the range is empty,
 * wraps around or shows more RAM than there is. NAME must outlive it. */
int space_add_ram(struct space *space, const char *name, u64 base, u64 size, struct ram *ram, u64 ram_offset, bool rom);
int space_add_device(struct space *space, const char *name, u64 base, u64 size, const struct device_ops *ops,
		     void *owner);
/* The device at range NUMBER can give many elements at once. */
void space_set_string(struct space *space, int number, read_string *string);
void space_remove(struct space *space, int number);
/* Put a range over all those of the same or a lower rank [0], under those of a higher one. What moves about and may
 * meet another one needs a rank of its own: which of them is seen must not depend on what came first, which a saved
 * state does not know. */
void space_rank(struct space *space, int number, int rank);
/* Let writes to a ROM go to what lies under it. */
void space_write_through(struct space *space, int number);
/* Each range of RAM with ADDR inside of it becomes two, one of which begins there. False: the host has no memory. */
bool space_split(struct space *space, u64 addr);
/* Change which address bits count (A20). */
void space_set_mask(struct space *space, u64 mask);

/* The range that answers at ADDR (already masked), or NULL. *END, if asked for, gets the first address at which the
 * answer may change (all ones: never). */
const struct range *space_find(const struct space *space, u64 addr, u64 *end);

/* The RAM that answers at the LEN bytes from ADDR (masked), for whoever looks often: the host's view of them, and in
 * *RANGE, if asked for, which it is. NULL: something else does. Writing is the caller's affair, as with space_view. */
u8 *space_ram_at(struct space *space, u64 addr, unsigned len, const struct range **range); /* the slow way */
static inline u8 *space_ram(struct space *space, u64 addr, unsigned len, const struct range **range)
{
	if (likely(addr >= space->ram_first && addr <= space->ram_last && space->ram_last - addr >= len - 1)) {
		if (range)
			*range = &space->ranges[space->ram_hit];
		return space->ram_host + (addr - space->ram_first);
	}
	return space_ram_at(space, addr, len, range);
}

/* Does nothing answer there, or a device that has no callbacks? */
static inline bool range_is_hole(const struct range *r)
{
	return !r || (r->kind == RANGE_DEVICE && !r->ops->read && !r->ops->write);
}
/* Did the last space_read or space_write find that? A hint. */
static inline bool space_missed(const struct space *space)
{
	return space->hit_first <= space->hit_last &&
	       (space->hit == SPACE_NOTHING || range_is_hole(&space->ranges[space->hit]));
}

/* One access of SIZE 1, 2, 4 or 8 bytes, as a processor or a bus master makes it: devices are called, code pages are
 * told. */
u64 space_read(struct space *space, u64 addr, unsigned size);
void space_write(struct space *space, u64 addr, unsigned size, u64 value);
/* N reads of SIZE bytes at one address into OUT, for a device that can give many at once; how many were made, 0: it
 * cannot. */
u64 space_read_string(struct space *space, u64 addr, unsigned size, void *out, u64 n);
/* Blocks of bytes (DMA, loaders). Device ranges are accessed byte by byte. */
void space_read_block(struct space *space, u64 addr, void *out, u64 len);
void space_write_block(struct space *space, u64 addr, const void *in, u64 len);
/* The host's view of RAM at ADDR, for what goes straight between it and a file: *LEN (at least 1) is cut to the bytes
 * that lie together. NULL: no RAM; WRITE: ROM is none. It is good until the map changes. After writing LEN bytes
 * through it, tell space_written. */
u8 *space_view(struct space *space, u64 addr, u64 *len, bool write);
void space_written(struct space *space, u64 addr, u64 len);
/* Look or poke without side effects (debuggers, loaders): devices read as ones and are not written; ROM is written. */
void space_peek(struct space *space, u64 addr, void *out, u64 len);
void space_poke(struct space *space, u64 addr, const void *in, u64 len);

/* FLAGS, of PAGE_DIRTY, of a page: nothing else sets them. */
static inline void ram_flag(struct ram *ram, u64 page, u8 flags)
{
	if ((ram->pages[page] & flags) == flags)
		return;
	ram->pages[page] |= flags;
	ram->groups[page / RAM_GROUP] |= flags;
}
/* The same for PAGES pages. */
void ram_flag_all(struct ram *ram, u64 page, u64 pages, u8 flags);
/* No page has FLAG, one of PAGE_DIRTY. */
void ram_unflag_all(struct ram *ram, u8 flag);

/* Tell that LEN bytes of RAM at its OFFSET are about to be / have been written through host pointers. */
static inline void ram_touch(struct ram *ram, u64 offset, unsigned len, u64 addr)
{
	const u8 *flags = &ram->pages[offset >> PAGE_SHIFT];

	if (unlikely(*flags & PAGE_CODE) && ram->written)
		ram->written(ram->owner, addr, len);
	if (unlikely(*flags & PAGE_WATCH) && ram->watched)
		ram->watched(ram->owner, addr, len);
	ram_flag(ram, offset >> PAGE_SHIFT, PAGE_DIRTY);
}

#endif
