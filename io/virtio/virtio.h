/* SPDX-License-Identifier: MIT */
/* Virtio 1.2 (OASIS): the part that all devices share. Transport over PCI (4.1), both as of 1.x (capabilities) and as
 * of 0.9.5 (a BAR of ports), so that old and new drivers find a device: a "transitional" one. Split rings (2.7) with
 * indirect descriptors and event indexes.
 *
 *     driver --- rings in RAM ---> virtio_peek, virtio_take ---> the device works ---> virtio_push, virtio_interrupt ---> INTx or MSI-X
 *        `------ notify ---> the work event, WORK_NS later ---> work()
 *
 * A device does all its work in that event, so what a driver asks for is done at a definite virtual time, and nothing
 * is ever called from within itself. What a driver says is not trusted: rings and buffers must lie in RAM, chains are
 * bounded; a driver that breaks the rules finds DEVICE_NEEDS_RESET set (2.1.1), and the device does nothing more until
 * it is reset.
 *
 * Not modelled: packed rings, rings or buffers in other devices' registers, an IOMMU. */
#ifndef IO_VIRTIO_H
#define IO_VIRTIO_H

#include "io/chipset/pci.h"
#include "mem/base/clock.h"
#include "mem/base/log.h"

enum { VIRTIO_QUEUES = 4, VIRTIO_QUEUE_MAX = 256, VIRTIO_CONFIG = 64, VIRTIO_SEGMENTS = 512, VIRTIO_WORK_NS = 2000 };
enum { VIRTIO_NET = 1, VIRTIO_BLK = 2, VIRTIO_CONSOLE = 3, VIRTIO_RNG = 4, VIRTIO_9P = 9 }; /* device types, 5 */

struct virtio {
	/* What it remembers */
	u64 driver_features;
	u32 device_features_select, driver_features_select;
	u8 status, isr, generation;
	u16 config_vector, queue_select;
	u8 config[VIRTIO_CONFIG];          /* device-specific configuration */
	u16 size[VIRTIO_QUEUES], vector[VIRTIO_QUEUES];
	bool enabled[VIRTIO_QUEUES];
	u64 desc[VIRTIO_QUEUES], avail[VIRTIO_QUEUES], used[VIRTIO_QUEUES]; /* addresses of a queue's three areas */
	u16 taken[VIRTIO_QUEUES];          /* chains taken from the available ring, modulo 64Ki */
	u16 pushed[VIRTIO_QUEUES];         /* and put into the used ring */
	u16 signalled[VIRTIO_QUEUES];      /* pushed, when the driver was last interrupted */
	struct event work;
	/* What it is, and how it is wired */
	struct pci_function pci;
	u64 features;                      /* offered */
	unsigned queues, config_size;
	unsigned config_writable;          /* bytes at the start of config that an old driver may write */
	unsigned window;                   /* offset of the capability that is a window to the registers */
	struct clock *clock;
	const struct log *log;
	void (*run)(void *owner);
	void (*reset)(void *owner);
	void *owner;
	char name[24], pci_name[32], work_name[32];
};

/* Features that do not belong to a device type (6). */
#define VIRTIO_F_ANY_LAYOUT ((u64)1 << 27)
#define VIRTIO_F_INDIRECT ((u64)1 << 28)
#define VIRTIO_F_EVENT_IDX ((u64)1 << 29)
#define VIRTIO_F_VERSION_1 ((u64)1 << 32)

/* Set up V, all zero, as device NAME NUMBER ("virtio-blk", 0) of TYPE with QUEUES queues. RUN does what is there to do,
 * in the work event; RESET (may be NULL) follows a reset by the driver. Then fill in config[], features (beyond the
 * general ones), config_size and attach v->pci. */
void virtio_init(struct virtio *v, const char *name, unsigned number, unsigned type, u32 pci_class, unsigned queues,
	struct clock *clock,
		void (*run)(void *owner), void (*reset)(void *owner), void *owner, const struct log *log);
struct part virtio_part(struct virtio *v);
/* For a device that remembers more: its struct begins with its struct virtio, its fields with these, and its
 * `post_load' calls virtio_post_load. */
#define VIRTIO_FIELDS \
	FIELD(struct virtio, driver_features, U64), \
	FIELD(struct virtio, device_features_select, U32), FIELD(struct virtio, driver_features_select, U32), \
	FIELD(struct virtio, status, U8), FIELD(struct virtio, isr, U8), FIELD(struct virtio, generation, U8), \
	FIELD(struct virtio, config_vector, U16), FIELD(struct virtio, queue_select, U16), \
	FIELDS(struct virtio, config, U8), \
	FIELDS(struct virtio, size, U16), FIELDS(struct virtio, vector, U16), \
	FIELDS(struct virtio, enabled, BOOL), \
	FIELDS(struct virtio, desc, U64), FIELDS(struct virtio, avail, U64), FIELDS(struct virtio, used, U64), \
	FIELDS(struct virtio, taken, U16), FIELDS(struct virtio, pushed, U16), FIELDS(struct virtio, signalled, U16), \
	FIELD(struct virtio, work, EVENT)
void virtio_post_load(void *v);

static inline bool virtio_has(const struct virtio *v, u64 feature)
{
	return v->driver_features & feature;
}
/* The driver is ready, and the device may work. */
bool virtio_live(const struct virtio *v);
/* Run the work event NS from now, unless it is to come earlier. */
void virtio_soon(struct virtio *v, u64 ns);
/* The configuration has changed. */
void virtio_config_changed(struct virtio *v);

/* A chain of descriptors: OUT segments that the device reads, then IN segments that it writes. */
struct virtio_chain {
	u16 head;
	unsigned out, in;
	u64 out_len, in_len;    /* bytes */
	struct { u64 addr; u32 len; } segment[VIRTIO_SEGMENTS];
};

/* Look at the chain that comes after N others which wait in queue Q. False: there is none, or the driver broke the
 * rules. */
bool virtio_peek(struct virtio *v, unsigned q, unsigned n, struct virtio_chain *c);
/* Look again at the chain that begins at descriptor HEAD. */
bool virtio_chain_at(struct virtio *v, unsigned q, u16 head, struct virtio_chain *c);
/* N chains of queue Q are taken. */
void virtio_take(struct virtio *v, unsigned q, unsigned n);
/* Give the chain at HEAD back, with the number of bytes WRITTEN into it. The driver hears of it by virtio_interrupt. */
void virtio_push(struct virtio *v, unsigned q, u16 head, u32 written);
void virtio_interrupt(struct virtio *v, unsigned q);
/* The driver broke the rules: DEVICE_NEEDS_RESET. */
void virtio_broken(struct virtio *v, const char *what);

/* A place in a chain's OUT or IN segments. */
struct virtio_cursor {
	const struct virtio_chain *chain;
	unsigned segment, end;
	u32 at;
	u64 viewed;             /* address of the last view */
};

struct virtio_cursor virtio_out(const struct virtio_chain *c);
struct virtio_cursor virtio_in(const struct virtio_chain *c);
/* Bytes from or to the cursor's place, which moves on. Returns how many there were. */
size_t virtio_read(struct virtio *v, struct virtio_cursor *at, void *out, size_t len);
size_t virtio_write(struct virtio *v, struct virtio_cursor *at, const void *in, size_t len);
/* The next *LEN bytes or fewer, in place, and the cursor moves on; NULL: the end, or no RAM (which makes the device
 * broken). What was written to a view (WRITE) must be told to virtio_viewed before the next. */
u8 *virtio_view(struct virtio *v, struct virtio_cursor *at, u64 *len, bool write);
void virtio_viewed(struct virtio *v, const struct virtio_cursor *at, u64 len);

/* virtio_pci.c: describe the registers. */
void virtio_pci_init(struct virtio *v, unsigned type, u32 pci_class);
/* virtio.c, for it: what the registers do. */
void virtio_notify(struct virtio *v, unsigned q);
void virtio_set_status(struct virtio *v, u8 status);
bool virtio_legacy(const struct virtio *v); /* the driver does not know VERSION_1 */
enum { VIRTIO_NO_VECTOR = 0xffff };
enum { VIRTIO_ISR_QUEUE = 1, VIRTIO_ISR_CONFIG = 2 };
enum { VIRTIO_DRIVER_OK = 4, VIRTIO_FEATURES_OK = 8, VIRTIO_NEEDS_RESET = 0x40 };

#endif
