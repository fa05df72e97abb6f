/* SPDX-License-Identifier: MIT */
/* The inside of a drive, for ata.c (ATA8-ACS) and atapi.c (MMC-5, SPC-3). Limits: ata.h. */
#ifndef IO_ATA_DRIVE_H
#define IO_ATA_DRIVE_H

#include "io/disk/ata.h"

#define REPLY_MAX 512u

struct ata_drive {
	/* What it remembers. */
	u8 multiple;             /* sectors of READ MULTIPLE and WRITE MULTIPLE, 0: not set */
	u8 mode;                 /* of SET FEATURES 03h */
	u8 heads, sectors;       /* what cylinders are made of (INITIALIZE DEVICE PARAMETERS) */
	bool write_cache, look_ahead, smart, asleep;
	u8 reply[REPLY_MAX];     /* data that is not the medium's, to or from it */
	u16 reply_at;            /* next byte of it */
	u8 key, asc, ascq;       /* sense data of the last packet */
	u8 attention, attention_q; /* what the host must hear of before anything else: additional sense; 0: nothing */
	u8 event;                /* media event of GET EVENT STATUS NOTIFICATION */
	bool open, locked;
	/* What it is. */
	const char *name;
	struct disk *disk;
	bool cdrom, sata;
	const struct log *log;
};

/* String of IDENTIFY and INQUIRY data, filled with spaces; words are swapped in IDENTIFY data. */
void ata_text(u8 *to, unsigned len, const char *text, bool swap);
void ata_identify_common(const struct ata_drive *drive, u8 *id);
/* The reply of LEN bytes as the data of a PIO or DMA command. */
void ata_reply(struct ata_drive *drive, struct ata_command *cmd, u32 len, enum ata_protocol protocol);

/* ---- atapi.c ---- */

void atapi_reset(struct ata_drive *drive);
void atapi_identify(struct ata_drive *drive);
enum disk_result atapi_in(struct ata_drive *drive, struct ata_command *cmd, u8 *out, u32 len);
/* The parameter list of MODE SELECT is there. */
void atapi_finish(struct ata_drive *drive, struct ata_command *cmd);
/* The packet failed. */
void atapi_failed(struct ata_drive *drive, struct ata_command *cmd, u8 key, u8 asc, u8 ascq);

#endif
