/* SPDX-License-Identifier: MIT */
/* An ATA disk or an ATAPI CD-ROM drive: what its commands mean (ATA8-ACS, MMC-5, SPC-3), whatever cable they come
 * through.
 *
 *     IDE task file (ide.c) ---.
 *                               >--- struct ata_command ---> drive ---> struct disk
 *     AHCI FIS (ahci.c) ------'
 *
 * A transport fills in the registers of a command, begins it, lets its time pass, moves its data, finishes it, and
 * shows the registers. A command is plain data and belongs to the transport, which saves it with its own state: a drive
 * with a queue has many of them.
 *
 *     ata_begin          looks at the registers, sets protocol, left, block, ns
 *     ata_packet         ATAPI: the same for the packet of a command whose protocol is ATA_PACKET
 *     ata_in, ata_out    the next bytes of data; or ata_dma: all of them
 *     ata_finish         what is left to do at the end (a flush)
 *
 * The last four may answer DISK_FULL: nothing has changed, the transport calls ata_wait and tries again a nanosecond
 * later. Anything else that goes wrong ends the command: its status says so, and left is 0.
 *
 * Not modelled: security, host protected area, device configuration overlay, power states that take time, audio tracks,
 * sessions, error correction codes of raw CD sectors. */
#ifndef IO_ATA_H
#define IO_ATA_H

#include "io/disk/disk.h"
#include "mem/base/field.h"
#include "mem/base/log.h"
#include "mem/space.h"

enum { ATA_ERR = 0x01, ATA_DRQ = 0x08, ATA_DSC = 0x10, ATA_DF = 0x20, ATA_DRDY = 0x40, ATA_BSY = 0x80 };
enum { ATA_ABRT = 0x04, ATA_IDNF = 0x10, ATA_UNC = 0x40 };

enum ata_protocol { ATA_NO_DATA, ATA_PIO_IN, ATA_PIO_OUT, ATA_DMA_IN, ATA_DMA_OUT, ATA_PACKET, ATA_PROTOCOLS };

struct ata_command {
	/* Registers: as written, and, in the end, as to be read. Count and LBA have the previous (48-bit) contents in
	 * their upper halves:
	 *   lba  47..40 39..32 31..24 | 23..16 LBA high  15..8 LBA mid  7..0 LBA low */
	u64 lba;
	u16 feature, count;
	u8 device, command, status, error;
	/* What becomes of it. */
	u8 protocol;
	u32 left;      /* bytes of data still to be moved */
	u32 block;     /* PIO: bytes at a time; with each the drive interrupts */
	u32 ns;        /* until the (first) data is there; for those that have none, until the end */
	u64 at;        /* next byte: of the disk; of the sectors of a CD, one behind the other, SECTOR bytes each */
	u16 sector;    /* 0: the data is not the medium's */
};

#define ATA_COMMAND_FIELDS(type, member) \
	FIELD(type, member.lba, U64), FIELD(type, member.feature, U16), FIELD(type, member.count, U16), \
	FIELD(type, member.device, U8), FIELD(type, member.command, U8), FIELD(type, member.status, U8), \
		FIELD(type, member.error, U8), \
	FIELD_MAX(type, member.protocol, U8, ATA_PROTOCOLS - 1), FIELD_MAX(type, member.left, U32, ATA_DATA_MAX), \
	FIELD_MAX(type, member.block, U32, ATA_DATA_MAX), FIELD(type, member.ns, U32), \
	FIELD(type, member.at, U64), FIELD_MAX(type, member.sector, U16, 2352)

#define ATA_DATA_MAX (65536 * 2352u)   /* bytes that a command can move */
#define ATA_BLOCK_MAX 8192u            /* bytes of a PIO block: 16 sectors */

struct ata_drive;

/* NAME names the part, and must outlive it; the drive's serial number is made of it. DISK stays the caller's; NULL: a
 * CD-ROM drive without a disc. SATA: it has a queue, and an interface that knows no modes. NULL: no memory. */
struct ata_drive *ata_new(const char *name, struct disk *disk, bool cdrom, bool sata, const struct log *log);
void ata_free(struct ata_drive *drive); /* NULL is fine */
struct part ata_part(struct ata_drive *drive);
bool ata_is_cdrom(const struct ata_drive *drive);
/* A CD-ROM drive has another disc in it, or none (NULL); for ata_insert as if a person had changed it. False: the host
 * has locked the tray. */
void ata_hold(struct ata_drive *drive, struct disk *disk);
bool ata_insert(struct ata_drive *drive, struct disk *disk);
/* As after power-on, or a reset through the interface; CMD gets the signature. */
void ata_reset(struct ata_drive *drive, struct ata_command *cmd);
void ata_signature(const struct ata_drive *drive, struct ata_command *cmd);

void ata_begin(struct ata_drive *drive, struct ata_command *cmd);
void ata_packet(struct ata_drive *drive, struct ata_command *cmd, const u8 packet[12], bool dma);
/* LEN bytes, at most cmd->left. */
enum disk_result ata_in(struct ata_drive *drive, struct ata_command *cmd, void *out, u32 len);
enum disk_result ata_out(struct ata_drive *drive, struct ata_command *cmd, const void *in, u32 len);
enum disk_result ata_finish(struct ata_drive *drive, struct ata_command *cmd);
/* Move all of the data between the drive and MEM, to or from the pieces of memory that NEXT gives until it is false. If
 * there is too little memory cmd->left tells what is left. */
enum disk_result ata_dma(struct ata_drive *drive, struct ata_command *cmd, struct space *mem,
		bool (*next)(void *owner, u64 *addr, u32 *len), void *owner);
void ata_wait(struct ata_drive *drive);
/* An error that the transport found. */
void ata_abort(struct ata_command *cmd, u8 error);

/* ns that moving LEN bytes takes. */
static inline u32 ata_time(u32 len) { return 1000 + len / 2; }

#endif
