/* SPDX-License-Identifier: MIT */
/* Commands of ATA disks (ATA8-ACS). Limits: ata.h. */
#include <stdlib.h>
#include "io/disk/ata_drive.h"

enum { SECTOR = 512, MULTIPLE_MAX = ATA_BLOCK_MAX / SECTOR, HEADS = 16, SECTORS = 63, QUEUE = 32 };

enum command {
	NOP = 0x00, DATA_SET_MANAGEMENT = 0x06, DEVICE_RESET = 0x08, RECALIBRATE = 0x10, READ_SECTORS = 0x20,
		READ_SECTORS_NO_RETRY = 0x21,
	READ_SECTORS_EXT = 0x24, READ_DMA_EXT = 0x25, READ_MULTIPLE_EXT = 0x29, READ_LOG_EXT = 0x2f,
	WRITE_SECTORS = 0x30,
	WRITE_SECTORS_NO_RETRY = 0x31, WRITE_SECTORS_EXT = 0x34, WRITE_DMA_EXT = 0x35, WRITE_MULTIPLE_EXT = 0x39,
	WRITE_DMA_FUA_EXT = 0x3d,
	VERIFY = 0x40, VERIFY_NO_RETRY = 0x41, VERIFY_EXT = 0x42, READ_FPDMA = 0x60, WRITE_FPDMA = 0x61, SEEK = 0x70,
	DIAGNOSTIC = 0x90,
	INIT_PARAMETERS = 0x91, PACKET = 0xa0, IDENTIFY_PACKET = 0xa1, SMART = 0xb0, READ_MULTIPLE = 0xc4,
	WRITE_MULTIPLE = 0xc5,
	SET_MULTIPLE = 0xc6, READ_DMA = 0xc8, READ_DMA_NO_RETRY = 0xc9, WRITE_DMA = 0xca, WRITE_DMA_NO_RETRY = 0xcb,
	WRITE_MULTIPLE_FUA_EXT = 0xce, STANDBY_IMMEDIATE = 0xe0, IDLE_IMMEDIATE = 0xe1, STANDBY = 0xe2, IDLE = 0xe3,
	CHECK_POWER = 0xe5,
	SLEEP = 0xe6, FLUSH = 0xe7, FLUSH_EXT = 0xea, IDENTIFY = 0xec, SET_FEATURES = 0xef,
};

static const struct field drive_fields[] = {
	FIELD_MAX(struct ata_drive, multiple, U8, MULTIPLE_MAX),
	FIELD(struct ata_drive, mode, U8),
	FIELD(struct ata_drive, heads, U8),
	FIELD(struct ata_drive, sectors, U8),
	FIELD(struct ata_drive, write_cache, BOOL),
	FIELD(struct ata_drive, look_ahead, BOOL),
	FIELD(struct ata_drive, smart, BOOL),
	FIELD(struct ata_drive, asleep, BOOL),
	FIELDS(struct ata_drive, reply, U8),
	FIELD_MAX(struct ata_drive, reply_at, U16, REPLY_MAX),
	FIELD(struct ata_drive, key, U8),
	FIELD(struct ata_drive, asc, U8),
	FIELD(struct ata_drive, ascq, U8),
	FIELD(struct ata_drive, attention, U8),
	FIELD(struct ata_drive, attention_q, U8),
	FIELD(struct ata_drive, event, U8),
	FIELD(struct ata_drive, open, BOOL),
	FIELD(struct ata_drive, locked, BOOL),
	FIELD_END
};

bool ata_is_cdrom(const struct ata_drive *drive) { return drive->cdrom; }

void ata_abort(struct ata_command *cmd, u8 error)
{
	cmd->protocol = ATA_NO_DATA;
	cmd->left = 0;
	cmd->error = error;
	cmd->status = ATA_DRDY | ATA_DSC | ATA_ERR;
}

static void unknown(const struct ata_drive *drive, struct ata_command *cmd)
{
	log_line(drive->log, "%s: there is no command %02xh", drive->name, cmd->command);
	ata_abort(cmd, ATA_ABRT);
}

/* A packet device is not ready before it is asked (ATA/ATAPI-6, 9.1). */
static u8 reset_status(const struct ata_drive *drive)
{
	return drive->cdrom ? 0 : ATA_DRDY | ATA_DSC;
}

static u64 total(const struct ata_drive *drive)
{
	return disk_size(drive->disk) / SECTOR;
}

/* The heads and sectors of a track at reset: a disk that does not fill a cylinder of 16 heads and 63 sectors has
 * smaller ones, so that there is one. */
static u8 default_sectors(const struct ata_drive *drive)
{
	u64 sectors = drive->disk && !drive->cdrom ? total(drive) : 0;

	return sectors && sectors < SECTORS ? (u8)sectors : SECTORS;
}

static u8 default_heads(const struct ata_drive *drive)
{
	u64 sectors = drive->disk && !drive->cdrom ? total(drive) : 0, heads = sectors / default_sectors(drive);

	return heads && heads < HEADS ? (u8)heads : HEADS;
}

/* ---- addresses ---- */

/* Those with 48-bit addresses are spread over the opcodes without a pattern. */
static bool is_ext(u8 command)
{
	switch (command) {
	case DATA_SET_MANAGEMENT: case READ_SECTORS_EXT: case READ_DMA_EXT: case READ_MULTIPLE_EXT: case WRITE_SECTORS_EXT:
	case WRITE_DMA_EXT: case WRITE_MULTIPLE_EXT: case WRITE_DMA_FUA_EXT: case VERIFY_EXT: case WRITE_MULTIPLE_FUA_EXT:
	case READ_FPDMA: case WRITE_FPDMA: case READ_LOG_EXT: case FLUSH_EXT:
		return true;
	}
	return false;
}

static bool is_queued(u8 command)
{
	return command == READ_FPDMA || command == WRITE_FPDMA;
}

/* The sector that the registers name; all ones: none that can be.
 *   device  6 LBA   4 drive   3..0 LBA 27..24, or the head */
static u64 address(const struct ata_drive *drive, const struct ata_command *cmd)
{
	u32 sector = cmd->lba & 0xff, cylinder = cmd->lba >> 8 & 0xffff, head = cmd->device & 15;

	if (is_ext(cmd->command))
		return cmd->lba;
	if (cmd->device & 0x40)
		return (cmd->lba & 0xffffff) | (u64)head << 24;
	if (!sector || sector > drive->sectors || head >= drive->heads)
		return ~(u64)0;
	return ((u64)cylinder * drive->heads + head) * drive->sectors + sector - 1;
}

/* The registers say where it failed. */
static void set_address(const struct ata_drive *drive, struct ata_command *cmd, u64 sector)
{
	if (is_ext(cmd->command)) {
		cmd->lba = sector & 0xffffffffffff;
	} else if (cmd->device & 0x40) {
		cmd->lba = sector & 0xffffff;
		cmd->device = (u8)((cmd->device & 0xf0) | (sector >> 24 & 15));
	} else if (drive->heads && drive->sectors) {
		u64 track = sector / drive->sectors;

		cmd->lba = (track / drive->heads & 0xffff) << 8 | (sector % drive->sectors + 1);
		cmd->device = (u8)((cmd->device & 0xf0) | track % drive->heads);
	}
}

static u32 sector_count(const struct ata_command *cmd)
{
	u32 count = is_queued(cmd->command) ? cmd->feature : cmd->count;

	if (!is_ext(cmd->command))
		count &= 0xff;
	return count ? count : is_ext(cmd->command) ? 65536 : 256;
}

/* The sectors of CMD exist. */
static bool check_address(const struct ata_drive *drive, struct ata_command *cmd)
{
	u64 sector = address(drive, cmd);

	if (sector < total(drive) && sector_count(cmd) <= total(drive) - sector) {
		cmd->at = sector * SECTOR;
		return true;
	}
	ata_abort(cmd, ATA_IDNF);
	return false;
}

static void transfer(struct ata_drive *drive, struct ata_command *cmd, enum ata_protocol protocol, u32 block_sectors)
{
	if (!check_address(drive, cmd))
		return;
	if (!block_sectors || ((protocol == ATA_PIO_OUT || protocol == ATA_DMA_OUT) && disk_read_only(drive->disk))) {
		ata_abort(cmd, ATA_ABRT);
		return;
	}
	cmd->protocol = (u8)protocol;
	cmd->sector = SECTOR;
	cmd->left = sector_count(cmd) * SECTOR;
	cmd->block = block_sectors * SECTOR;
	cmd->ns += cmd->left / 2;
}

/* ---- IDENTIFY DEVICE (ATA8-ACS 7.16) ---- */

void ata_text(u8 *to, unsigned len, const char *text, bool swap)
{
	memset(to, ' ', len);
	for (unsigned i = 0; i < len && text[i]; i++)
		to[swap ? i ^ 1 : i] = (u8)text[i];
}

static void word(u8 *id, unsigned n, u16 value) { put16(id + 2 * n, value); }

/* Words that disks and CD-ROM drives have in common; modes are bits, those of the chosen one are in the upper byte:
 *   63 multiword DMA   64 PIO 3, 4   65-68 cycle times, ns   88 Ultra DMA */
void ata_identify_common(const struct ata_drive *drive, u8 *id)
{
	u8 kind = drive->mode >> 3, bit = (u8)(1u << (drive->mode & 7));

	ata_text(id + 20, 20, drive->name, true);
	ata_text(id + 46, 8, "1.0", true);
	word(id, 49, 0x0f00); /* IORDY can be off, IORDY, LBA, DMA */
	word(id, 53, 6);      /* words 64-70 and 88 are valid */
	word(id, 63, (u16)(7 | (kind == 4 ? bit << 8 : 0)));
	word(id, 64, 3);
	for (unsigned n = 65; n <= 68; n++)
		word(id, n, 120);
	word(id, 80, 0x1f0); /* ATA-4 to ATA8 */
	word(id, 88, (u16)(0x3f | (kind == 8 ? bit << 8 : 0)));
	if (drive->sata)
		word(id, 76, 6); /* 1.5 and 3 Gb/s */
	else
		word(id, 93, 0x600b); /* the cable has 80 wires; how the diagnostic went */
}

static void identify(struct ata_drive *drive)
{
	u8 *id = drive->reply;
	u64 sectors = total(drive);
	u32 lba28 = sectors < 0xfffffff ? (u32)sectors : 0xfffffff;
	u64 cylinders = sectors / ((u64)default_heads(drive) * default_sectors(drive)),
	    now = drive->heads * drive->sectors;
	u16 on = (u16)(drive->smart | 1 << 3 | drive->write_cache << 5 | drive->look_ahead << 6 | 1 << 14);
	u8 sum = 0xa5;

	memset(id, 0, SECTOR);
	ata_identify_common(drive, id);
	ata_text(id + 54, 40, "libvcpu disk", true);
	word(id, 0, 0x0040);
	word(id, 1, cylinders < 16383 ? (u16)cylinders : 16383);
	word(id, 3, default_heads(drive));
	word(id, 6, default_sectors(drive));
	word(id, 47, 0x8000 | MULTIPLE_MAX);
	word(id, 50, 0x4000);
	word(id, 53, 7);
	now = now ? sectors / now : 0;
	word(id, 54, now < 65535 ? (u16)now : 65535);
	word(id, 55, drive->heads);
	word(id, 56, drive->sectors);
	put32(id + 114, (u32)get16(id + 108) * drive->heads * drive->sectors);
	word(id, 59, drive->multiple ? 0x100 | drive->multiple : 0);
	put32(id + 120, lba28);
	if (drive->sata) {
		word(id, 75, QUEUE - 1);
		word(id, 76, 0x106); /* and NCQ */
	}
	word(id, 82, 0x4069); /* NOP, look-ahead, write cache, power management, SMART */
	word(id, 83, 0x7400); /* FLUSH CACHE EXT, FLUSH CACHE, 48 bits */
	word(id, 84, 0x4040); /* WRITE DMA FUA EXT */
	word(id, 85, on);
	word(id, 86, 0x3400);
	word(id, 87, 0x4040);
	put64(id + 200, sectors);
	word(id, 105, 1); /* a block of ranges for TRIM */
	word(id, 106, 0x4000);
	word(id, 169, 1); /* TRIM */
	word(id, 217, 1); /* nothing rotates */
	id[510] = 0xa5;
	for (unsigned i = 0; i < 511; i++)
		sum = (u8)(sum + (i < 510 ? id[i] : 0));
	id[511] = (u8)-sum;
}

void ata_reply(struct ata_drive *drive, struct ata_command *cmd, u32 len, enum ata_protocol protocol)
{
	drive->reply_at = 0;
	cmd->protocol = (u8)protocol;
	cmd->left = len;
	cmd->block = SECTOR;
}

/* ---- commands without data from the medium ---- */

/* A transfer mode that IDENTIFY lists:
 *   7..3 kind: 0 the default one, 1 PIO, 4 multiword DMA, 8 Ultra DMA   2..0 mode */
static bool has_mode(u8 mode)
{
	static const u8 modes[] = { [0] = 2, [1] = 5, [4] = 3, [8] = 6 };

	return mode >> 3 < (int)ARRAY_LEN(modes) && (mode & 7) < modes[mode >> 3];
}

static void set_features(struct ata_drive *drive, struct ata_command *cmd)
{
	switch (cmd->feature & 0xff) {
	case 0x02: drive->write_cache = true; return;
	case 0x82: drive->write_cache = false; return;
	case 0x03:
		if (!has_mode((u8)cmd->count))
			break;
		drive->mode = (u8)cmd->count;
		return;
	case 0x55: drive->look_ahead = false; return;
	case 0xaa: drive->look_ahead = true; return;
	case 0x66: case 0xcc: return; /* what a soft reset takes back: nothing matters here */
	case 0x10: case 0x90: /* SATA features: none of them changes anything */
		if (drive->sata)
			return;
	}
	ata_abort(cmd, ATA_ABRT);
}

static void smart(struct ata_drive *drive, struct ata_command *cmd)
{
	u8 what = (u8)cmd->feature, sum = 0;

	if ((cmd->lba & 0xffff00) != 0xc24f00 || (!drive->smart && what != 0xd8)) {
		ata_abort(cmd, ATA_ABRT);
		return;
	}
	switch (what) {
	case 0xd0: case 0xd1: /* READ DATA, READ THRESHOLDS: revision 1, no attributes */
		memset(drive->reply, 0, SECTOR);
		drive->reply[0] = 1;
		for (unsigned i = 0; i < 511; i++)
			sum = (u8)(sum + drive->reply[i]);
		drive->reply[511] = (u8)-sum;
		ata_reply(drive, cmd, SECTOR, ATA_PIO_IN);
		return;
	case 0xd2: case 0xd4: case 0xda: return; /* autosave, self-test, RETURN STATUS: healthy, the registers stay */
	case 0xd8: drive->smart = true; return;
	case 0xd9: drive->smart = false; return;
	}
	ata_abort(cmd, ATA_ABRT);
}

static void set_multiple(struct ata_drive *drive, struct ata_command *cmd)
{
	u8 count = (u8)cmd->count;

	if (count > MULTIPLE_MAX || (count & (count - 1)))
		ata_abort(cmd, ATA_ABRT);
	else
		drive->multiple = count;
}

static void init_parameters(struct ata_drive *drive, struct ata_command *cmd)
{
	if (!(cmd->count & 0xff)) {
		ata_abort(cmd, ATA_ABRT);
		return;
	}
	drive->heads = (u8)((cmd->device & 15) + 1);
	drive->sectors = (u8)cmd->count;
}

/* The log of errors of queued commands (10h) and its directory: they are what a host asks for. No command of the queue
 * ever fails but by its address, and then all of them are taken back. */
static void read_log(struct ata_drive *drive, struct ata_command *cmd)
{
	u8 page = cmd->lba & 0xff;

	if (!drive->sata || (page && page != 0x10) || cmd->count != 1) {
		ata_abort(cmd, ATA_ABRT);
		return;
	}
	memset(drive->reply, 0, SECTOR);
	if (page) {
		drive->reply[0] = 0x80; /* not of a queued command */
		drive->reply[511] = 0x80;
	} else {
		put16(drive->reply, 1);
		put16(drive->reply + 2 * 0x10, 1);
	}
	ata_reply(drive, cmd, SECTOR, ATA_PIO_IN);
}

void ata_signature(const struct ata_drive *drive, struct ata_command *cmd)
{
	cmd->count = 1;
	cmd->lba = drive->cdrom ? 0xeb1401 : 1;
	cmd->device &= 0x10;
}

static void disk_begin(struct ata_drive *drive, struct ata_command *cmd)
{
	switch (cmd->command) {
	case READ_SECTORS: case READ_SECTORS_NO_RETRY: case READ_SECTORS_EXT:
		transfer(drive, cmd, ATA_PIO_IN, 1);
		break;
	case READ_MULTIPLE: case READ_MULTIPLE_EXT:
		transfer(drive, cmd, ATA_PIO_IN, drive->multiple);
		break;
	case READ_DMA: case READ_DMA_NO_RETRY: case READ_DMA_EXT:
		transfer(drive, cmd, ATA_DMA_IN, 1);
		break;
	case WRITE_SECTORS: case WRITE_SECTORS_NO_RETRY: case WRITE_SECTORS_EXT:
		transfer(drive, cmd, ATA_PIO_OUT, 1);
		break;
	case WRITE_MULTIPLE: case WRITE_MULTIPLE_EXT: case WRITE_MULTIPLE_FUA_EXT:
		transfer(drive, cmd, ATA_PIO_OUT, drive->multiple);
		break;
	case WRITE_DMA: case WRITE_DMA_NO_RETRY: case WRITE_DMA_EXT: case WRITE_DMA_FUA_EXT:
		transfer(drive, cmd, ATA_DMA_OUT, 1);
		break;
	case READ_FPDMA: case WRITE_FPDMA:
		if (drive->sata)
			transfer(drive, cmd, cmd->command == READ_FPDMA ? ATA_DMA_IN : ATA_DMA_OUT, 1);
		else
			ata_abort(cmd, ATA_ABRT);
		break;
	case VERIFY: case VERIFY_NO_RETRY: case VERIFY_EXT:
		check_address(drive, cmd);
		break;
	case DATA_SET_MANAGEMENT: /* a list of 64 ranges comes */
		if (!(cmd->feature & 1) || cmd->count != 1 || disk_read_only(drive->disk)) {
			ata_abort(cmd, ATA_ABRT);
			break;
		}
		cmd->protocol = ATA_DMA_OUT;
		cmd->left = SECTOR;
		break;
	case IDENTIFY:
		identify(drive);
		ata_reply(drive, cmd, SECTOR, ATA_PIO_IN);
		break;
	case READ_LOG_EXT: read_log(drive, cmd); break;
	case SMART: smart(drive, cmd); break;
	case SET_MULTIPLE: set_multiple(drive, cmd); break;
	case INIT_PARAMETERS: init_parameters(drive, cmd); break;
	case FLUSH: case FLUSH_EXT: break; /* at the end */
	case IDENTIFY_PACKET: ata_abort(cmd, ATA_ABRT); break; /* by which a host finds out what this is */
	default:
		if ((cmd->command & 0xf0) != RECALIBRATE && (cmd->command & 0xf0) != SEEK)
			unknown(drive, cmd);
	}
}

static void cdrom_begin(struct ata_drive *drive, struct ata_command *cmd)
{
	switch (cmd->command) {
	case PACKET: /* feature: bit 0 DMA */
		cmd->protocol = ATA_PACKET;
		break;
	case IDENTIFY_PACKET:
		atapi_identify(drive);
		ata_reply(drive, cmd, SECTOR, ATA_PIO_IN);
		break;
	case DEVICE_RESET:
		ata_reset(drive, cmd);
		break;
	/* aborted with the signature in the registers, so that the host knows what this is */
	case IDENTIFY: case READ_SECTORS:
		ata_signature(drive, cmd);
		ata_abort(cmd, ATA_ABRT);
		break;
	default:
		unknown(drive, cmd);
	}
}

void ata_begin(struct ata_drive *drive, struct ata_command *cmd)
{
	cmd->protocol = ATA_NO_DATA;
	cmd->status = ATA_DRDY | ATA_DSC;
	cmd->error = 0;
	cmd->left = cmd->sector = 0;
	cmd->block = SECTOR;
	cmd->ns = 5000;
	switch (cmd->command) {
	case DIAGNOSTIC:
		ata_signature(drive, cmd);
		cmd->error = 1; /* passed */
		cmd->status = reset_status(drive);
		break;
	case NOP: ata_abort(cmd, ATA_ABRT); break; /* always */
	case SET_FEATURES: set_features(drive, cmd); break;
	case STANDBY_IMMEDIATE: case STANDBY: drive->asleep = true; break;
	case IDLE_IMMEDIATE: case IDLE: drive->asleep = false; break;
	case SLEEP: drive->asleep = true; break;
	case CHECK_POWER: cmd->count = drive->asleep ? 0 : 0xff; break;
	default:
		if (drive->cdrom)
			cdrom_begin(drive, cmd);
		else
			disk_begin(drive, cmd);
		if (cmd->left)
			drive->asleep = false;
	}
}

/* ---- data ---- */

/* The medium's answer; false: try again. */
static bool settle(struct ata_drive *drive, struct ata_command *cmd, enum disk_result result)
{
	if (result == DISK_FULL)
		return false;
	if (result == DISK_OK)
		return true;
	if (drive->cdrom) {
		atapi_failed(drive, cmd, 3, 0x11, 0); /* MEDIUM ERROR, unrecovered read error */
		return true;
	}
	set_address(drive, cmd, cmd->at / SECTOR);
	ata_abort(cmd, result == DISK_RANGE ? ATA_IDNF : result == DISK_READ_ONLY ? ATA_ABRT : ATA_UNC);
	return true;
}

static void advance(struct ata_command *cmd, u32 len)
{
	if (cmd->sector)
		cmd->at += len;
	cmd->left -= len < cmd->left ? len : cmd->left;
}

static enum disk_result from_reply(struct ata_drive *drive, void *data, u32 len, bool in)
{
	if (len > REPLY_MAX - drive->reply_at)
		return DISK_RANGE;
	if (in)
		memcpy(data, drive->reply + drive->reply_at, len);
	else
		memcpy(drive->reply + drive->reply_at, data, len);
	drive->reply_at = (u16)(drive->reply_at + len);
	return DISK_OK;
}

enum disk_result ata_in(struct ata_drive *drive, struct ata_command *cmd, void *out, u32 len)
{
	enum disk_result result;

	if (!cmd->sector)
		result = from_reply(drive, out, len, true);
	else if (drive->cdrom)
		result = atapi_in(drive, cmd, out, len);
	else
		result = disk_read(drive->disk, cmd->at, out, len);
	if (result == DISK_OK)
		advance(cmd, len);
	return settle(drive, cmd, result) ? DISK_OK : DISK_FULL;
}

/* Ranges of DATA SET MANAGEMENT: 63..48 sectors (0: no range)   47..0 first sector. */
static enum disk_result discard(struct ata_drive *drive, const u8 *list, u32 len)
{
	enum disk_result result = DISK_OK;

	for (u32 i = 0; i + 8 <= len && result == DISK_OK; i += 8) {
		u64 range = get64(list + i);

		if (range >> 48)
			result = disk_discard(drive->disk, (range & 0xffffffffffff) * SECTOR, (range >> 48) * SECTOR);
	}
	return result;
}

enum disk_result ata_out(struct ata_drive *drive, struct ata_command *cmd, const void *in, u32 len)
{
	enum disk_result result;

	if (cmd->sector && !drive->cdrom)
		result = disk_write(drive->disk, cmd->at, in, len);
	else if (!drive->cdrom)
		result = discard(drive, in, len);
	else
		result = from_reply(drive, (void *)in, len, false);
	if (result == DISK_OK)
		advance(cmd, len);
	return settle(drive, cmd, result) ? DISK_OK : DISK_FULL;
}

enum disk_result ata_finish(struct ata_drive *drive, struct ata_command *cmd)
{
	bool wrote = cmd->protocol == ATA_PIO_OUT || cmd->protocol == ATA_DMA_OUT;

	if (drive->cdrom) {
		atapi_finish(drive, cmd);
		return DISK_OK;
	}
	switch (cmd->command) {
	case FLUSH: case FLUSH_EXT: case STANDBY_IMMEDIATE: case STANDBY: case SLEEP: case WRITE_DMA_FUA_EXT: case WRITE_MULTIPLE_FUA_EXT:
		break;
	case WRITE_FPDMA:
		if (cmd->device & 0x80) /* FUA */
			break;
		/* fall through */
	default:
		if (!wrote || drive->write_cache)
			return DISK_OK;
	}
	if (cmd->status & ATA_ERR)
		return DISK_OK;
	return settle(drive, cmd, disk_flush(drive->disk)) ? DISK_OK : DISK_FULL;
}

enum disk_result ata_dma(struct ata_drive *drive, struct ata_command *cmd, struct space *mem,
		bool (*next)(void *owner, u64 *addr, u32 *len), void *owner)
{
	const struct ata_command before = *cmd;
	const u16 reply_at = drive->reply_at;
	const bool in = cmd->protocol == ATA_DMA_IN || cmd->protocol == ATA_PIO_IN;
	u8 data[65536];
	u64 addr = 0;
	u32 room = 0; /* at ADDR */

	while (cmd->left) {
		u32 len = cmd->left < sizeof data ? cmd->left : sizeof data, done = 0;
		struct ata_command ahead = *cmd;
		enum disk_result result = DISK_OK;

		if (in)
			result = ata_in(drive, &ahead, data, len);
		while (result == DISK_OK && done < len && !(ahead.status & ATA_ERR)) {
			u32 now;

			if (!room && !next(owner, &addr, &room))
				break;
			now = room < len - done ? room : len - done;
			if (in)
				space_write_block(mem, addr, data + done, now);
			else
				space_read_block(mem, addr, data + done, now);
			done += now;
			addr += now;
			room -= now;
		}
		if (!in && done)
			result = ata_out(drive, &ahead, data, done);
		if (result != DISK_OK) {
			*cmd = before;
			drive->reply_at = reply_at;
			return result;
		}
		if (ahead.status & ATA_ERR) {
			*cmd = ahead;
			break;
		}
		if (in)
			advance(cmd, done);
		else
			*cmd = ahead;
		if (done < len)
			break; /* no memory for the rest */
	}
	return DISK_OK;
}

void ata_wait(struct ata_drive *drive)
{
	if (drive->disk)
		disk_wait(drive->disk);
}

/* ---- life ---- */

void ata_reset(struct ata_drive *drive, struct ata_command *cmd)
{
	drive->multiple = 0;
	drive->mode = 0;
	drive->heads = default_heads(drive);
	drive->sectors = default_sectors(drive);
	drive->write_cache = drive->look_ahead = drive->smart = true;
	drive->asleep = false;
	drive->reply_at = 0;
	if (drive->cdrom)
		atapi_reset(drive);
	*cmd = (struct ata_command){ .device = cmd->device, .command = cmd->command, .error = 1 };
	cmd->status = reset_status(drive);
	ata_signature(drive, cmd);
}

struct ata_drive *ata_new(const char *name, struct disk *disk, bool cdrom, bool sata, const struct log *log)
{
	struct ata_drive *drive = calloc(1, sizeof *drive);
	struct ata_command cmd = { 0 };

	if (!drive)
		return NULL;
	drive->name = name;
	drive->disk = disk;
	drive->cdrom = cdrom;
	drive->sata = sata;
	drive->log = log;
	ata_reset(drive, &cmd);
	return drive;
}

void ata_free(struct ata_drive *drive)
{
	free(drive);
}

struct part ata_part(struct ata_drive *drive)
{
	return (struct part){ drive->name, drive, drive_fields, NULL };
}
