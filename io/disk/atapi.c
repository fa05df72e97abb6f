/* SPDX-License-Identifier: MIT */
/* The packets of a CD-ROM drive (MMC-5, SPC-3; SFF-8020i for what they replaced). Numbers in packets and replies are
 * big-endian. */
#include "io/disk/ata_drive.h"

enum { BLOCK = 2048, RAW = 2352, LEAD_IN = 150, FRAMES = 75, CD_MAX = 80 * 60 * FRAMES };
enum { NOT_READY = 2, ILLEGAL_REQUEST = 5, UNIT_ATTENTION = 6 };
enum { INVALID_OPCODE = 0x20, LBA_OUT_OF_RANGE = 0x21, INVALID_FIELD = 0x24, INVALID_PARAMETER = 0x26,
	MEDIUM_CHANGED = 0x28,
       RESET_OCCURRED = 0x29, NO_MEDIUM = 0x3a, REMOVAL_PREVENTED = 0x53 };

enum packet {
	TEST_UNIT_READY = 0x00, REQUEST_SENSE = 0x03, INQUIRY = 0x12, START_STOP = 0x1b, PREVENT_REMOVAL = 0x1e,
		READ_FORMAT_CAPACITIES = 0x23,
	READ_CAPACITY = 0x25, READ_10 = 0x28, SEEK_10 = 0x2b, READ_SUBCHANNEL = 0x42, READ_TOC = 0x43,
	GET_CONFIGURATION = 0x46,
	GET_EVENT = 0x4a, READ_DISC_INFORMATION = 0x51, READ_TRACK_INFORMATION = 0x52, MODE_SELECT_10 = 0x55,
	MODE_SENSE_10 = 0x5a,
	READ_12 = 0xa8, READ_DVD_STRUCTURE = 0xad, READ_CD_MSF = 0xb9, SET_CD_SPEED = 0xbb, MECHANISM_STATUS = 0xbd,
	READ_CD = 0xbe,
};

static u16 be16(const u8 *p) { return (u16)(p[0] << 8 | p[1]); }
static u32 be32(const u8 *p) { return (u32)be16(p) << 16 | be16(p + 2); }
static u32 be24(const u8 *p) { return (u32)p[0] << 16 | be16(p + 1); }
static void to16(u8 *p, u32 v) { p[0] = (u8)(v >> 8), p[1] = (u8)v; }
static void to32(u8 *p, u32 v) { to16(p, v >> 16), to16(p + 2, v); }

static bool has_medium(const struct ata_drive *drive)
{
	return drive->disk && !drive->open;
}

static u32 blocks(const struct ata_drive *drive)
{
	u64 n = has_medium(drive) ? disk_size(drive->disk) / BLOCK : 0;

	return n < 0x7fffffff ? (u32)n : 0x7fffffff;
}

/* Minutes, seconds, frames. */
static void to_msf(u8 *p, u32 lba)
{
	lba += LEAD_IN;
	p[0] = (u8)(lba / FRAMES / 60);
	p[1] = (u8)(lba / FRAMES % 60);
	p[2] = (u8)(lba % FRAMES);
}

static void set_sense(struct ata_drive *drive, u8 key, u8 asc, u8 ascq)
{
	drive->key = key;
	drive->asc = asc;
	drive->ascq = ascq;
}

/* Error register: 7..4 sense key   2 aborted. */
void atapi_failed(struct ata_drive *drive, struct ata_command *cmd, u8 key, u8 asc, u8 ascq)
{
	set_sense(drive, key, asc, ascq);
	ata_abort(cmd, (u8)(key << 4 | ATA_ABRT));
}

static void illegal(struct ata_drive *drive, struct ata_command *cmd, u8 asc)
{
	atapi_failed(drive, cmd, ILLEGAL_REQUEST, asc, 0);
}

/* ---- what the drive says about itself ---- */

void atapi_identify(struct ata_drive *drive)
{
	u8 *id = drive->reply;

	memset(id, 0, 512);
	ata_identify_common(drive, id);
	ata_text(id + 54, 40, "libvcpu CD-ROM", true);
	put16(id, 0x85c0);        /* ATAPI, CD-ROM, removable, DRQ within 50 us, 12-byte packets */
	put16(id + 2 * 82, 0x4218); /* NOP, DEVICE RESET, PACKET, power management */
	put16(id + 2 * 83, 0x4000);
	put16(id + 2 * 84, 0x4000);
	put16(id + 2 * 85, 0x4218);
	put16(id + 2 * 87, 0x4000);
}

static u32 inquiry(struct ata_drive *drive)
{
	u8 *r = drive->reply;

	r[0] = 5;    /* CD/DVD */
	r[1] = 0x80; /* removable */
	r[3] = 0x21; /* ATAPI: response data format 1 */
	r[4] = 31;
	ata_text(r + 8, 8, "libvcpu", false);
	ata_text(r + 16, 16, "CD-ROM", false);
	ata_text(r + 32, 4, "1.0", false);
	return 36;
}

static u32 request_sense(struct ata_drive *drive)
{
	u8 *r = drive->reply;

	r[0] = 0x70;
	r[2] = drive->key;
	r[7] = 10;
	r[12] = drive->asc;
	r[13] = drive->ascq;
	set_sense(drive, 0, 0, 0);
	return 18;
}

/* Current profile: CD-ROM 8, DVD-ROM 10h, none 0. */
static u16 profile(const struct ata_drive *drive)
{
	return !has_medium(drive) ? 0 : blocks(drive) > CD_MAX ? 0x10 : 8;
}

/* One feature: code (16 bits), 5..2 version, 1 persistent, 0 current, length of the data that follows (MMC-5 5.2). */
static u8 *feature(u8 *at, u16 code, u8 flags, const u8 *data, u8 len)
{
	to16(at, code);
	at[2] = flags;
	at[3] = len;
	memcpy(at + 4, data, len);
	return at + 4 + len;
}

static u32 get_configuration(struct ata_drive *drive, const u8 *packet)
{
	const u8 current = profile(drive) != 0, dvd = profile(drive) == 0x10;
	const struct { u16 code; u8 flags, len, data[8]; } features[] = {
		{ 0x0000, 0x03, 8, { 0x00, 0x10, dvd, 0, 0x00, 0x08, current && !dvd, 0 } }, /* profiles */
		{ 0x0001, 0x0b, 8, { 0, 0, 0, 2, 1, 0, 0, 0 } },   /* core: ATAPI */
		{ 0x0002, 0x07, 4, { 2, 0, 0, 0 } },               /* morphing */
		{ 0x0003, 0x03, 4, { 0x29, 0, 0, 0 } },            /* removable: tray, eject, lock */
		{ 0x0010, current, 8, { 0, 0, BLOCK >> 8, 0, 0, 1, 0, 0 } }, /* random readable */
		{ 0x001e, (u8)(0x08 | (current && !dvd)), 4, { 0, 0, 0, 0 } }, /* CD read */
		{ 0x001f, dvd, 0, { 0 } },                         /* DVD read */
		{ 0x0105, 0x07, 4, { 0, 0, 0, 0 } },               /* timeout */
	};
	u8 *r = drive->reply, *at = r + 8;
	u16 start = be16(packet + 2);
	u8 which = packet[1] & 3;

	for (unsigned i = 0; i < ARRAY_LEN(features); i++) {
		bool wanted = which == 2 ? features[i].code == start
					 : features[i].code >= start && (!which || features[i].flags & 1);

		if (wanted)
			at = feature(at, features[i].code, features[i].flags, features[i].data, features[i].len);
	}
	to32(r, (u32)(at - r) - 4);
	to16(r + 6, profile(drive));
	return (u32)(at - r);
}

/* Class 4, media: event 1 eject wanted, 2 new medium, 3 removal; status: 0 tray open, 1 medium there. */
static u32 get_event(struct ata_drive *drive, const u8 *packet)
{
	u8 *r = drive->reply;

	r[3] = 1 << 4; /* the classes there are */
	if (!(packet[4] & 1 << 4)) {
		r[1] = 2;
		r[2] = 0x80;
		return 4;
	}
	r[1] = 6;
	r[2] = 4;
	r[4] = drive->event;
	r[5] = (u8)(drive->open | has_medium(drive) << 1);
	drive->event = 0;
	return 8;
}

/* ---- mode pages (MMC-5 7) ---- */

static u8 *mode_page(struct ata_drive *drive, u8 *at, u8 page)
{
	switch (page) {
	case 0x01: /* read error recovery: 5 retries */
		memcpy(at, (u8[12]){ 0x01, 10, 0, 5 }, 12);
		return at + 12;
	case 0x0d: /* 60 seconds in a minute, 75 frames in a second */
		memcpy(at, (u8[8]){ 0x0d, 6, 0, 0, 0, 60, 0, 75 }, 8);
		return at + 8;
	case 0x0e: /* audio control */
		memcpy(at, (u8[16]){ 0x0e, 14, 4, 0, 0, 0, 0, 75, 1, 0xff, 2, 0xff }, 16);
		return at + 16;
	case 0x2a: /* capabilities: reads CD-R, CD-RW, DVD; multi-session, mode 2; lock, tray, eject; speeds in KB/s */
		memcpy(at, (u8[22]){ 0x2a, 20, 0x3b, 0, 0x70, 0, 0x29, 0, 0x21, 0, 0, 2, 2, 0, 0x21, 0 }, 22);
		at[6] = (u8)(at[6] | drive->locked << 1);
		return at + 22;
	}
	return NULL;
}

static u32 mode_sense(struct ata_drive *drive, const u8 *packet)
{
	static const u8 pages[] = { 0x01, 0x0d, 0x0e, 0x2a };
	u8 *r = drive->reply, *at = r + 8, wanted = packet[2] & 0x3f;

	if (packet[2] >> 6 == 3)
		return 0; /* there are no saved values */
	if (wanted == 0x3f) {
		for (unsigned i = 0; i < ARRAY_LEN(pages); i++)
			at = mode_page(drive, at, pages[i]);
	} else {
		at = mode_page(drive, at, wanted);
		if (!at)
			return 0;
	}
	to16(r, (u32)(at - r) - 2);
	r[2] = drive->open ? 0x71 : has_medium(drive) ? 0x01 : 0x70; /* medium type */
	return (u32)(at - r);
}

/* ---- what is on the disc: one data track ---- */

static u32 toc_entry(u8 *at, u8 track, u32 lba, bool msf)
{
	at[1] = 0x14; /* data, position */
	at[2] = track;
	if (msf)
		to_msf(at + 5, lba);
	else
		to32(at + 4, lba);
	return 8;
}

static u32 read_toc(struct ata_drive *drive, const u8 *packet)
{
	/* points of the lead-in (full TOC): first track, last track, lead-out, track 1 */
	static const u8 points[] = { 0xa0, 0xa1, 0xa2, 1 };
	bool msf = packet[1] & 2;
	u8 format = packet[2] & 15 ? packet[2] & 15 : packet[9] >> 6, first = packet[6], *r = drive->reply;
	u32 len = 4;

	r[2] = r[3] = 1;
	switch (format) {
	case 0:
		if (first > 1 && first != 0xaa)
			return 0;
		if (first <= 1)
			len += toc_entry(r + len, 1, 0, msf);
		len += toc_entry(r + len, 0xaa, blocks(drive), msf);
		break;
	case 1: /* the last session's first track */
		len += toc_entry(r + len, 1, 0, msf);
		break;
	case 2:
		for (unsigned i = 0; i < ARRAY_LEN(points); i++, len += 11) {
			u8 *at = r + len;

			at[0] = 1;
			at[1] = 0x14;
			at[3] = points[i];
			if (points[i] >= 0xa2 || points[i] == 1)
				to_msf(at + 8, points[i] == 1 ? 0 : blocks(drive));
			else
				at[8] = 1;
		}
		break;
	default:
		return 0;
	}
	to16(r, len - 2);
	return len;
}

static u32 read_disc_information(struct ata_drive *drive)
{
	u8 *r = drive->reply;

	to16(r, 32);
	r[2] = 0x0e; /* complete, the last session too */
	r[3] = r[4] = r[5] = r[6] = 1;
	r[7] = 0x20; /* unrestricted use */
	memset(r + 16, 0xff, 8);
	return 34;
}

static u32 read_track_information(struct ata_drive *drive)
{
	u8 *r = drive->reply;

	to16(r, 34);
	r[2] = r[3] = 1;
	r[5] = 4; /* data */
	r[6] = 1;
	to32(r + 24, blocks(drive));
	return 36;
}

static u32 read_dvd_structure(struct ata_drive *drive, const u8 *packet)
{
	u8 *r = drive->reply;

	if (packet[7] || profile(drive) != 0x10)
		return 0;
	to16(r, 2050);
	r[4] = 0x01; /* DVD-ROM */
	r[5] = 0x0f;
	r[6] = 1;
	to32(r + 8, 0x30000);
	to32(r + 12, 0x30000 + blocks(drive) - 1);
	return REPLY_MAX;
}

static u32 read_subchannel(struct ata_drive *drive, const u8 *packet)
{
	u8 *r = drive->reply;

	r[1] = 0x15; /* no audio */
	if (!(packet[2] & 0x40))
		return 4;
	if (packet[3] != 1)
		return 0;
	r[3] = 12;
	r[4] = 1;
	r[5] = 0x14;
	r[6] = r[7] = 1;
	return 16;
}

/* ---- reading ---- */

static void begin_read(struct ata_drive *drive, struct ata_command *cmd, u32 lba, u32 count, u16 sector, bool dma)
{
	if (lba > blocks(drive) || count > blocks(drive) - lba) {
		illegal(drive, cmd, LBA_OUT_OF_RANGE);
		return;
	}
	if (count > ATA_DATA_MAX / RAW) {
		illegal(drive, cmd, INVALID_FIELD);
		return;
	}
	if (!count)
		return;
	cmd->protocol = dma ? ATA_DMA_IN : ATA_PIO_IN;
	cmd->sector = sector;
	cmd->at = (u64)lba * sector;
	cmd->left = count * sector;
	cmd->ns += cmd->left / 2;
}

/* READ CD: what of a sector is wanted:   7 sync   6..5 header   4 user data   3 EDC and ECC   2..1 errors. */
static void read_cd(struct ata_drive *drive, struct ata_command *cmd, const u8 *packet, u32 lba, u32 count, bool dma)
{
	u8 type = packet[1] >> 2 & 7; /* 0 any, 2 mode 1 */

	if ((type && type != 2) || packet[10] & 7)
		illegal(drive, cmd, INVALID_FIELD);
	else if ((packet[9] & 0xf8) == 0x10)
		begin_read(drive, cmd, lba, count, BLOCK, dma);
	else if ((packet[9] & 0xf8) == 0xf8)
		begin_read(drive, cmd, lba, count, RAW, dma);
	else if (packet[9] & 0xf8)
		illegal(drive, cmd, INVALID_FIELD);
}

static u8 bcd(u8 n) { return (u8)(n / 10 << 4 | n % 10); }

/* A raw sector of mode 1:   0 sync   12 minute, second, frame in BCD, mode   16 data   2064 EDC, ECC. */
static enum disk_result read_raw(struct ata_drive *drive, u64 lba, u8 sector[RAW])
{
	memset(sector, 0, RAW);
	memset(sector + 1, 0xff, 10);
	to_msf(sector + 12, (u32)lba);
	for (unsigned i = 12; i < 15; i++)
		sector[i] = bcd(sector[i]);
	sector[15] = 1;
	return disk_read(drive->disk, lba * BLOCK, sector + 16, BLOCK);
}

enum disk_result atapi_in(struct ata_drive *drive, struct ata_command *cmd, u8 *out, u32 len)
{
	u64 at = cmd->at;
	u8 sector[RAW];

	if (!drive->disk)
		return DISK_RANGE;
	if (cmd->sector != RAW)
		return disk_read(drive->disk, at, out, len);
	for (u32 run; len; at += run, out += run, len -= run) {
		u32 skip = (u32)(at % RAW);
		enum disk_result result = read_raw(drive, at / RAW, sector);

		if (result != DISK_OK)
			return result;
		run = RAW - skip < len ? RAW - skip : len;
		memcpy(out, sector + skip, run);
	}
	return DISK_OK;
}

/* ---- tray ---- */

static void start_stop(struct ata_drive *drive, struct ata_command *cmd, const u8 *packet)
{
	bool open = !(packet[4] & 1);

	if (!(packet[4] & 2))
		return; /* spins up or down */
	if (open && drive->locked) {
		atapi_failed(drive, cmd, ILLEGAL_REQUEST, REMOVAL_PREVENTED, 2);
		return;
	}
	if (open != drive->open && drive->disk) {
		drive->event = open ? 3 : 2;
		drive->attention = open ? 0 : MEDIUM_CHANGED;
		drive->attention_q = 0;
	}
	drive->open = open;
}

void ata_hold(struct ata_drive *drive, struct disk *disk) { drive->disk = disk; }

bool ata_insert(struct ata_drive *drive, struct disk *disk)
{
	if (drive->locked)
		return false;
	drive->disk = disk;
	drive->open = false;
	drive->event = disk ? 2 : 3;
	drive->attention = disk ? MEDIUM_CHANGED : 0;
	drive->attention_q = 0;
	return true;
}

/* ---- packets ---- */

static bool needs_medium(u8 opcode)
{
	switch (opcode) {
	case TEST_UNIT_READY: case READ_CAPACITY: case READ_10: case READ_12: case READ_CD: case READ_CD_MSF: case SEEK_10: case READ_TOC:
	case READ_SUBCHANNEL: case READ_DISC_INFORMATION: case READ_TRACK_INFORMATION: case READ_DVD_STRUCTURE:
		return true;
	}
	return false;
}

/* Room for the reply, as the packet says; those without a reply have none. */
static u32 allocated(const u8 *packet)
{
	switch (packet[0]) {
	case REQUEST_SENSE: case INQUIRY: return packet[4];
	case READ_CAPACITY: return 8;
	case READ_DVD_STRUCTURE: case MECHANISM_STATUS: return be16(packet + 8);
	default: return be16(packet + 7);
	}
}

/* Fills the reply; its length, 0: the packet makes no sense. */
static u32 make_reply(struct ata_drive *drive, const u8 *packet)
{
	u8 *r = drive->reply;

	memset(r, 0, REPLY_MAX);
	switch (packet[0]) {
	case REQUEST_SENSE: return request_sense(drive);
	case INQUIRY: return packet[1] & 1 ? 0 : inquiry(drive);
	case READ_FORMAT_CAPACITIES:
		r[3] = 8;
		to32(r + 4, blocks(drive));
		to32(r + 8, (has_medium(drive) ? 2u : 3u) << 24 | BLOCK);
		return 12;
	case READ_CAPACITY:
		to32(r, blocks(drive) - 1);
		to32(r + 4, BLOCK);
		return 8;
	case READ_SUBCHANNEL: return read_subchannel(drive, packet);
	case READ_TOC: return read_toc(drive, packet);
	case GET_CONFIGURATION: return get_configuration(drive, packet);
	case GET_EVENT: return packet[1] & 1 ? get_event(drive, packet) : 0;
	case READ_DISC_INFORMATION: return packet[1] & 7 ? 0 : read_disc_information(drive);
	case READ_TRACK_INFORMATION: return read_track_information(drive);
	case MODE_SENSE_10: return mode_sense(drive, packet);
	case READ_DVD_STRUCTURE: return read_dvd_structure(drive, packet);
	case MECHANISM_STATUS:
		r[1] = drive->open ? 0x10 : 0;
		return 8;
	}
	return 0;
}

/* Those that move data of the medium, or none. False: it is none of them. */
static bool do_packet(struct ata_drive *drive, struct ata_command *cmd, const u8 *packet, bool dma)
{
	switch (packet[0]) {
	case TEST_UNIT_READY: case SET_CD_SPEED:
		return true;
	case SEEK_10:
		if (be32(packet + 2) >= blocks(drive))
			illegal(drive, cmd, LBA_OUT_OF_RANGE);
		return true;
	case START_STOP: start_stop(drive, cmd, packet); return true;
	case PREVENT_REMOVAL: drive->locked = packet[4] & 1; return true;
	case READ_10: begin_read(drive, cmd, be32(packet + 2), be16(packet + 7), BLOCK, dma); return true;
	case READ_12: begin_read(drive, cmd, be32(packet + 2), be32(packet + 6), BLOCK, dma); return true;
	case READ_CD: read_cd(drive, cmd, packet, be32(packet + 2), be24(packet + 6), dma); return true;
	case READ_CD_MSF: {
		u32 from = (packet[3] * 60u + packet[4]) * FRAMES + packet[5],
		    to = (packet[6] * 60u + packet[7]) * FRAMES + packet[8];

		if (from < LEAD_IN || to < from)
			illegal(drive, cmd, INVALID_FIELD);
		else
			read_cd(drive, cmd, packet, from - LEAD_IN, to - from, dma);
		return true;
	}
	case MODE_SELECT_10: {
		u32 len = be16(packet + 7);

		if (len > REPLY_MAX)
			illegal(drive, cmd, INVALID_FIELD);
		else if (len)
			ata_reply(drive, cmd, len, dma ? ATA_DMA_OUT : ATA_PIO_OUT);
		return true;
	}
	}
	return false;
}

static bool known(u8 opcode)
{
	switch (opcode) {
	case REQUEST_SENSE: case INQUIRY: case READ_FORMAT_CAPACITIES: case READ_CAPACITY: case READ_SUBCHANNEL: case READ_TOC:
	case GET_CONFIGURATION: case GET_EVENT: case READ_DISC_INFORMATION: case READ_TRACK_INFORMATION: case MODE_SENSE_10:
	case READ_DVD_STRUCTURE: case MECHANISM_STATUS:
		return true;
	}
	return false;
}

/* In the registers:   LBA high, mid: bytes that the host takes at a time   count: 1 I/O, 0 C/D */
void ata_packet(struct ata_drive *drive, struct ata_command *cmd, const u8 packet[12], bool dma)
{
	u8 opcode = packet[0];
	u32 limit = cmd->lba >> 8 & 0xfffe, len;

	cmd->protocol = ATA_NO_DATA;
	cmd->left = cmd->sector = 0;
	cmd->status = ATA_DRDY | ATA_DSC;
	cmd->error = 0;
	cmd->ns = 5000;
	if (opcode != REQUEST_SENSE)
		set_sense(drive, 0, 0, 0);
	if (drive->attention && opcode != INQUIRY && opcode != GET_CONFIGURATION && opcode != GET_EVENT) {
		set_sense(drive, UNIT_ATTENTION, drive->attention, drive->attention_q);
		drive->attention = 0;
		if (opcode != REQUEST_SENSE) {
			atapi_failed(drive, cmd, drive->key, drive->asc, drive->ascq);
			return;
		}
	}
	if (needs_medium(opcode) && !has_medium(drive)) {
		atapi_failed(drive, cmd, NOT_READY, NO_MEDIUM, drive->open ? 2 : 1);
		return;
	}
	if (!do_packet(drive, cmd, packet, dma)) {
		len = make_reply(drive, packet);
		if (!len) {
			if (!known(opcode))
				log_line(drive->log, "%s: there is no packet command %02xh", drive->name, opcode);
			illegal(drive, cmd, known(opcode) ? INVALID_FIELD : INVALID_OPCODE);
			return;
		}
		if (len > allocated(packet))
			len = allocated(packet);
		if (len)
			ata_reply(drive, cmd, len, dma ? ATA_DMA_IN : ATA_PIO_IN);
	}
	cmd->block = !limit || limit > ATA_BLOCK_MAX ? ATA_BLOCK_MAX : limit;
}

/* The parameters of MODE SELECT are taken note of and change nothing: there is nothing to set in a drive of this kind.
 * */
void atapi_finish(struct ata_drive *drive, struct ata_command *cmd)
{
	bool wrote = cmd->protocol == ATA_PIO_OUT || cmd->protocol == ATA_DMA_OUT;

	if (wrote && !(cmd->status & ATA_ERR) && drive->reply_at < 8)
		illegal(drive, cmd, INVALID_PARAMETER);
}

/* The tray stays as it is. */
void atapi_reset(struct ata_drive *drive)
{
	set_sense(drive, 0, 0, 0);
	drive->attention = RESET_OCCURRED;
	drive->attention_q = 0;
	drive->locked = false;
	drive->event = has_medium(drive) ? 2 : 0;
}
