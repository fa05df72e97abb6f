/* SPDX-License-Identifier: MIT */
/* The floppy disk controller (Intel 82077AA data sheet) and its drives. Limits: fdc.h. */
#include <stdlib.h>
#include "io/disk/fdc.h"

enum { SRA, SRB, DOR, TDR, MSR, FIFO, RESERVED, DIR };
enum { DSR = MSR, CCR = DIR };
enum { DOR_DRIVE = 3, DOR_RUN = 4, DOR_GATE = 8, DOR_MOTOR = 0x10 };
enum { MSR_RQM = 0x80, MSR_DIO = 0x40, MSR_NON_DMA = 0x20, MSR_BUSY = 0x10 };
enum { DSR_RESET = 0x80, DIR_CHANGED = 0x80 };
/* Status registers of a command's result (data sheet, section 6). */
enum { ST0_ABNORMAL = 0x40, ST0_INVALID = 0x80, ST0_READY_CHANGED = 0xc0, ST0_SEEK_END = 0x20, ST0_NO_TRACK_0 = 0x10 };
enum { ST1_NO_MARK = 0x01, ST1_PROTECTED = 0x02, ST1_NO_DATA = 0x04, ST1_OVERRUN = 0x10, ST1_END = 0x80 };
enum { ST2_WRONG_CYLINDER = 0x10, ST2_SCAN_EQUAL = 0x08, ST2_SCAN_NOT = 0x04 };
enum { ST3_PROTECTED = 0x40, ST3_READY = 0x20, ST3_TRACK_0 = 0x10, ST3_TWO_SIDES = 0x08 };
enum { CONFIG_IMPLIED_SEEK = 0x40, CONFIG_NO_POLL = 0x10 };

enum op {
	READ_TRACK = 2, SPECIFY, SENSE_DRIVE, WRITE, READ, RECALIBRATE, SENSE_INTERRUPT, WRITE_DELETED, READ_ID,
		READ_DELETED = 0x0c, FORMAT,
	DUMPREG, SEEK, VERSION, SCAN_EQUAL, PERPENDICULAR, CONFIGURE, LOCK, VERIFY = 0x16, SCAN_LOW = 0x19,
	SCAN_HIGH = 0x1d,
};
enum { MT = 0x80, MFM = 0x40, RELATIVE = 0x80, UP = 0x40 };

enum { SECTOR = 512, SECTOR_NS = 100000, STEP_NS = 30000, SETTLE_NS = 100000, RESET_NS = 20000, TRACKS_MAX = 86 };

enum phase { IDLE, EXECUTING, HOST_READS, HOST_WRITES, RESULT, PHASES };

struct drive {
	u8 track, target;     /* where the heads are, and are going */
	bool seeking, changed;
	struct event seek;
	/* wiring */
	struct disk *disk;
	const struct format *format;
	bool present;
	struct fdc *fdc;
	unsigned number;
};

struct fdc {
	u8 dor, dsr, ccr, tdr;
	u8 phase;
	u8 command[9], result[10];
	u8 command_at, command_len, result_at, result_len;
	u8 data[SECTOR];
	u16 data_at, data_len;
	bool have;            /* DATA waits to be written */
	u8 st1, st2;
	bool tc, compared_all;
	u8 specify[2], config, precompensation, perpendicular, pcn[4];
	bool lock;
	u8 pending;           /* bit n: SENSE INTERRUPT has something to say of drive n, which is: */
	u8 pending_st0[4];
	bool irq;
	struct event event;
	struct drive drive[2];
	/* wiring */
	struct clock *clock;
	struct line line;
	struct dma *dma;
	const struct log *log;
};

static const struct field fdc_fields[] = {
	FIELD(struct fdc, dor, U8),
	FIELD(struct fdc, dsr, U8),
	FIELD(struct fdc, ccr, U8),
	FIELD(struct fdc, tdr, U8),
	FIELD_MAX(struct fdc, phase, U8, PHASES - 1),
	FIELDS(struct fdc, command, U8),
	FIELDS(struct fdc, result, U8),
	FIELD_MAX(struct fdc, command_at, U8, 8),
	FIELD_MAX(struct fdc, command_len, U8, 9),
	FIELD_MAX(struct fdc, result_at, U8, 10),
	FIELD_MAX(struct fdc, result_len, U8, 10),
	FIELDS(struct fdc, data, U8),
	FIELD_MAX(struct fdc, data_at, U16, SECTOR),
	FIELD_MAX(struct fdc, data_len, U16, SECTOR),
	FIELD(struct fdc, have, BOOL),
	FIELD(struct fdc, st1, U8),
	FIELD(struct fdc, st2, U8),
	FIELD(struct fdc, tc, BOOL),
	FIELD(struct fdc, compared_all, BOOL),
	FIELDS(struct fdc, specify, U8),
	FIELD(struct fdc, config, U8),
	FIELD(struct fdc, precompensation, U8),
	FIELD(struct fdc, perpendicular, U8),
	FIELDS(struct fdc, pcn, U8),
	FIELD(struct fdc, lock, BOOL),
	FIELD(struct fdc, pending, U8),
	FIELDS(struct fdc, pending_st0, U8),
	FIELD(struct fdc, irq, BOOL),
	FIELD(struct fdc, event, EVENT),
	FIELD(struct fdc, drive[0].track, U8),
	FIELD(struct fdc, drive[0].target, U8),
	FIELD(struct fdc, drive[0].seeking, BOOL),
	FIELD(struct fdc, drive[0].changed, BOOL),
	FIELD(struct fdc, drive[0].seek, EVENT),
	FIELD(struct fdc, drive[1].track, U8),
	FIELD(struct fdc, drive[1].target, U8),
	FIELD(struct fdc, drive[1].seeking, BOOL),
	FIELD(struct fdc, drive[1].changed, BOOL),
	FIELD(struct fdc, drive[1].seek, EVENT),
	FIELD_END
};

/* ---- disks ---- */

/* Rates: bit n: the disk is readable at data rate n (500, 300, 250 Kb/s, 1 Mb/s). */
struct format { u8 tracks, heads, sectors, rates; enum fdc_type type; };

static const struct format formats[] = {
	{ 40, 1, 8, 6, FDC_360K }, { 40, 1, 9, 6, FDC_360K }, { 40, 2, 8, 6, FDC_360K }, { 40, 2, 9, 6, FDC_360K },
	{ 80, 2, 8, 4, FDC_720K }, { 80, 2, 9, 4, FDC_720K }, { 80, 2, 15, 1, FDC_1200K }, { 80, 2, 21, 1, FDC_1440K },
		{ 82, 2, 21, 1, FDC_1440K },
	{ 80, 2, 18, 1, FDC_1440K }, { 80, 2, 36, 8, FDC_2880K },
};
#define FORMAT_1440K (&formats[9])

static u64 capacity(const struct format *f)
{
	return (u64)f->tracks * f->heads * f->sectors * SECTOR;
}

static const struct format *format_of(const struct disk *disk)
{
	for (unsigned i = 0; disk && i < ARRAY_LEN(formats); i++)
		if (capacity(&formats[i]) == disk_size(disk))
			return &formats[i];
	return !disk || disk_size(disk) < capacity(FORMAT_1440K) ? FORMAT_1440K : &formats[10];
}

enum fdc_type fdc_type(const struct fdc *fdc, unsigned drive)
{
	return fdc->drive[drive].present ? fdc->drive[drive].format->type : FDC_NONE;
}

void fdc_hold(struct fdc *fdc, unsigned drive, struct disk *disk)
{
	fdc->drive[drive].disk = disk;
	fdc->drive[drive].format = format_of(disk);
}

void fdc_insert(struct fdc *fdc, unsigned drive, struct disk *disk)
{
	fdc_hold(fdc, drive, disk);
	fdc->drive[drive].changed = true;
}

/* ---- lines ---- */

static void drive_line(struct fdc *fdc)
{
	line_set(&fdc->line, fdc->irq && (fdc->dor & DOR_GATE));
}

static void set_irq(struct fdc *fdc, bool level)
{
	fdc->irq = level;
	drive_line(fdc);
}

static void wait_for(struct fdc *fdc, u64 ns)
{
	clock_arm(fdc->clock, &fdc->event, clock_in(fdc->clock, ns));
}

/* ---- a command's end ---- */

static void fdc_answer(struct fdc *fdc, const u8 *bytes, unsigned len)
{
	if (len)
		memcpy(fdc->result, bytes, len);
	fdc->result_len = (u8)len;
	fdc->result_at = 0;
	fdc->phase = len ? RESULT : IDLE;
}

static enum op op(const struct fdc *fdc) { return (enum op)(fdc->command[0] & 0x1f); }
static unsigned unit(const struct fdc *fdc) { return fdc->command[1] & 3; }
static unsigned head(const struct fdc *fdc) { return fdc->command[1] >> 2 & 1; }

static struct drive *drive_of(struct fdc *fdc)
{
	return unit(fdc) < 2 ? &fdc->drive[unit(fdc)] : NULL;
}

/* C H R N are those of the command, which a transfer has counted up. */
static void finish(struct fdc *fdc, u8 st0)
{
	const u8 *c = fdc->command;

	if (fdc->st1 || fdc->st2 & ~(ST2_SCAN_EQUAL | ST2_SCAN_NOT))
		st0 |= ST0_ABNORMAL;
	fdc_answer(fdc, (u8[7]){ (u8)(st0 | (c[1] & 7)), fdc->st1, fdc->st2, c[2], c[3], c[4], c[5] }, 7);
	set_irq(fdc, true);
}

static void fail(struct fdc *fdc, u8 st1, u8 st2)
{
	fdc->st1 |= st1;
	fdc->st2 |= st2;
	finish(fdc, ST0_ABNORMAL);
}

/* ---- sectors ---- */

static bool non_dma(const struct fdc *fdc) { return fdc->specify[1] & 1; }

/* There is a disk, turning, written at this rate, in MFM. */
static bool readable(const struct fdc *fdc, const struct drive *d)
{
	return d && d->disk && (d->format->rates >> (fdc->ccr & 3) & 1) && (fdc->command[0] & MFM) &&
	       head(fdc) < d->format->heads;
}

static u64 offset_of(const struct drive *d, unsigned side, unsigned sector)
{
	return (((u64)d->track * d->format->heads + side) * d->format->sectors + sector - 1) * SECTOR;
}

/* The sector that the command names now lies under the head. */
static bool find_sector(struct fdc *fdc, const struct drive *d)
{
	const u8 *c = fdc->command;

	if (!readable(fdc, d) || d->track >= d->format->tracks) {
		fail(fdc, ST1_NO_MARK, 0);
		return false;
	}
	if (c[2] != d->track) {
		fail(fdc, ST1_NO_DATA, ST2_WRONG_CYLINDER);
		return false;
	}
	if (c[3] != head(fdc) || !c[4] || c[4] > d->format->sectors || c[5] != 2) {
		fail(fdc, ST1_NO_DATA, 0);
		return false;
	}
	return true;
}

static enum disk_result read_sector(const struct fdc *fdc, const struct drive *d, u8 *data)
{
	u64 offset = offset_of(d, head(fdc), fdc->command[4]);

	memset(data, 0, SECTOR);
	return offset < disk_size(d->disk) ? disk_read(d->disk, offset, data, SECTOR) : DISK_OK;
}

/* True: the command ended. The sectors go on: to the next side with MT, else the track ends. */
static bool next_sector(struct fdc *fdc)
{
	u8 *c = fdc->command;

	if (c[4] != c[6]) { /* EOT */
		c[4]++;
		return false;
	}
	c[4] = 1;
	if ((c[0] & MT) && !head(fdc)) {
		c[3] ^= 1;
		c[1] ^= 4;
		return false;
	}
	if (c[0] & MT) {
		c[3] ^= 1;
		c[1] ^= 4;
	}
	c[2]++;
	return true;
}

/* A sector is done; the next, or the end. An end without TC is abnormal, but VERIFY's. */
static void sector_done(struct fdc *fdc)
{
	u8 side = fdc->command[1];
	bool ended = next_sector(fdc);

	if (fdc->tc || ended) {
		if (!fdc->tc && op(fdc) != VERIFY)
			fdc->st1 |= ST1_END;
		fdc->command[1] = (u8)((fdc->command[1] & ~4) | (side & 4));
		finish(fdc, 0);
	} else {
		fdc->phase = EXECUTING;
		wait_for(fdc, SECTOR_NS);
	}
}

static bool scans(enum op o) { return o == SCAN_EQUAL || o == SCAN_LOW || o == SCAN_HIGH; }
static bool writes(enum op o) { return o == WRITE || o == WRITE_DELETED; }

/* The host's LEN bytes against the sector's; FFh of the host matches anything. True: the condition holds. */
static bool compare(struct fdc *fdc, const u8 *host, const u8 *sector, u32 len)
{
	for (u32 i = 0; i < len; i++) {
		if (host[i] == 0xff || host[i] == sector[i])
			continue;
		fdc->compared_all = false;
		return op(fdc) == SCAN_LOW ? sector[i] < host[i] : op(fdc) == SCAN_HIGH && sector[i] > host[i];
	}
	fdc->compared_all = true;
	return true;
}

static void scan(struct fdc *fdc, const struct drive *d, const u8 *host, u32 len)
{
	u8 sector[SECTOR];

	if (read_sector(fdc, d, sector) != DISK_OK) {
		fail(fdc, ST1_NO_DATA, 0);
		return;
	}
	if (compare(fdc, host, sector, len)) {
		fdc->st2 = fdc->compared_all ? ST2_SCAN_EQUAL : 0;
		finish(fdc, 0);
		return;
	}
	fdc->st2 = ST2_SCAN_NOT;
	fdc->tc |= fdc->command[4] == fdc->command[6];
	sector_done(fdc);
}

/* DATA to the disk. */
static void put_sector(struct fdc *fdc, struct drive *d, const u8 *data)
{
	enum disk_result result = disk_write(d->disk, offset_of(d, head(fdc), fdc->command[4]), data, SECTOR);

	if (result == DISK_FULL) {
		fdc->have = true;
		fdc->phase = EXECUTING;
		wait_for(fdc, 1);
		disk_wait(d->disk);
		return;
	}
	fdc->have = false;
	if (result != DISK_OK)
		fail(fdc, result == DISK_ERROR ? ST1_NO_DATA : ST1_PROTECTED, 0);
	else
		sector_done(fdc);
}

/* The host must move DATA_LEN bytes itself. */
static void ask_host(struct fdc *fdc, enum phase phase, u16 len)
{
	fdc->phase = (u8)phase;
	fdc->data_at = 0;
	fdc->data_len = len;
	set_irq(fdc, true);
}

static void read_here(struct fdc *fdc, struct drive *d)
{
	if (read_sector(fdc, d, fdc->data) != DISK_OK) {
		fail(fdc, ST1_NO_DATA, 0);
	} else if (op(fdc) == VERIFY) {
		sector_done(fdc);
	} else if (non_dma(fdc)) {
		ask_host(fdc, HOST_READS, SECTOR);
	} else if (dma_move(fdc->dma, 2, fdc->data, SECTOR, true, &fdc->tc) < SECTOR && !fdc->tc) {
		fail(fdc, ST1_OVERRUN, 0);
	} else {
		sector_done(fdc);
	}
}

static void write_here(struct fdc *fdc, struct drive *d)
{
	u32 got;

	if (disk_read_only(d->disk) && !scans(op(fdc))) {
		fail(fdc, ST1_PROTECTED, 0);
	} else if (fdc->have) {
		put_sector(fdc, d, fdc->data);
	} else if (non_dma(fdc)) {
		ask_host(fdc, HOST_WRITES, SECTOR);
	} else {
		memset(fdc->data, 0, SECTOR);
		got = dma_move(fdc->dma, 2, fdc->data, SECTOR, false, &fdc->tc);
		if (got < SECTOR && !fdc->tc)
			fail(fdc, ST1_OVERRUN, 0);
		else if (scans(op(fdc)))
			scan(fdc, d, fdc->data, got);
		else
			put_sector(fdc, d, fdc->data);
	}
}

/* ---- FORMAT: command: 2 N, 3 sectors, 4 gap, 5 filler. The host gives C H R N of each. DATA_AT counts the sectors
 * that are done, DATA has the four bytes of the one that is next. ---- */

static void format_sector(struct fdc *fdc, struct drive *d)
{
	u8 filler[SECTOR];
	const u8 *id = fdc->data;
	enum disk_result result = DISK_OK;

	memset(filler, fdc->command[5], SECTOR);
	if (id[0] == d->track && id[1] == head(fdc) && id[2] && id[2] <= d->format->sectors && id[3] == 2 &&
	    d->track < d->format->tracks)
		result = disk_write(d->disk, offset_of(d, head(fdc), id[2]), filler, SECTOR);
	fdc->have = result == DISK_FULL;
	fdc->phase = EXECUTING;
	if (result == DISK_FULL) {
		wait_for(fdc, 1);
		disk_wait(d->disk);
	} else if (result == DISK_ERROR) {
		fail(fdc, ST1_NO_DATA, 0);
	} else if (--fdc->command[3] && !fdc->tc) {
		wait_for(fdc, SECTOR_NS);
	} else {
		finish(fdc, 0);
	}
}

static void format_here(struct fdc *fdc, struct drive *d)
{
	if (!readable(fdc, d)) {
		fail(fdc, ST1_NO_MARK, 0);
	} else if (disk_read_only(d->disk)) {
		fail(fdc, ST1_PROTECTED, 0);
	} else if (fdc->have) {
		format_sector(fdc, d);
	} else if (!fdc->command[3]) {
		finish(fdc, 0);
	} else if (non_dma(fdc)) {
		ask_host(fdc, HOST_WRITES, 4);
	} else if (dma_move(fdc->dma, 2, fdc->data, 4, false, &fdc->tc) < 4) {
		fail(fdc, ST1_OVERRUN, 0);
	} else {
		format_sector(fdc, d);
	}
}

static void read_id(struct fdc *fdc, struct drive *d)
{
	if (!readable(fdc, d) || d->track >= d->format->tracks) {
		fail(fdc, ST1_NO_MARK, 0);
		return;
	}
	memcpy(fdc->command + 2, (u8[4]){ d->track, (u8)head(fdc), 1, 2 }, 4);
	finish(fdc, 0);
}

/* The next sector is under the head. */
static void execute(struct fdc *fdc)
{
	struct drive *d = drive_of(fdc);

	if (!(fdc->dor & DOR_MOTOR << unit(fdc)))
		return; /* nothing turns: nothing comes until the motor is on, or a reset */
	if (op(fdc) == FORMAT) {
		format_here(fdc, d);
	} else if (op(fdc) == READ_ID) {
		read_id(fdc, d);
	} else if (find_sector(fdc, d)) {
		if (writes(op(fdc)) || scans(op(fdc)))
			write_here(fdc, d);
		else
			read_here(fdc, d);
	}
}

static void fire(void *owner, u64 late)
{
	struct fdc *fdc = owner;

	(void)late;
	if (fdc->phase == EXECUTING) {
		execute(fdc);
	} else if (fdc->pending) { /* after a reset */
		set_irq(fdc, true);
	}
}

/* The host has moved its bytes. */
static void host_done(struct fdc *fdc)
{
	struct drive *d = drive_of(fdc);

	set_irq(fdc, false);
	fdc->phase = EXECUTING;
	if (!d || !d->disk)
		fail(fdc, ST1_NO_MARK, 0);
	else if (op(fdc) == FORMAT)
		format_sector(fdc, d);
	else if (!find_sector(fdc, d))
		return;
	else if (scans(op(fdc)))
		scan(fdc, d, fdc->data, SECTOR);
	else if (writes(op(fdc)))
		put_sector(fdc, d, fdc->data);
	else
		sector_done(fdc);
}

/* ---- seeks ---- */

static void seek_end(struct fdc *fdc, unsigned n, u8 st0)
{
	fdc->pending |= (u8)(1 << n);
	fdc->pending_st0[n] = (u8)(st0 | ST0_SEEK_END | n);
	set_irq(fdc, true);
}

static void fire_seek(void *owner, u64 late)
{
	struct drive *d = owner;

	(void)late;
	if (!d->seeking)
		return;
	d->seeking = false;
	d->track = d->target < TRACKS_MAX ? d->target : TRACKS_MAX;
	if (d->disk)
		d->changed = false;
	seek_end(d->fdc, d->number, 0);
}

static void begin_seek(struct fdc *fdc, unsigned n, int target)
{
	struct drive *d = &fdc->drive[n & 1];
	int distance;

	target = target < 0 ? 0 : target > 255 ? 255 : target;
	fdc->pcn[n] = (u8)target;
	if (n > 1 || !d->present) { /* nobody says that this is track 0 */
		seek_end(fdc, n, target ? 0 : ST0_ABNORMAL | ST0_NO_TRACK_0);
		return;
	}
	distance = target > d->track ? target - d->track : d->track - target;
	d->target = (u8)target;
	d->seeking = true;
	clock_arm(fdc->clock, &d->seek, clock_in(fdc->clock, SETTLE_NS + (u64)distance * STEP_NS));
}

/* ---- commands ---- */

/* Bytes of a command, its own included; 0: there is no such command. */
static unsigned command_length(u8 byte)
{
	static const u8 lengths[32] = {
		[READ_TRACK] = 9, [SPECIFY] = 3, [SENSE_DRIVE] = 2, [WRITE] = 9, [READ] = 9, [RECALIBRATE] = 2,
			[SENSE_INTERRUPT] = 1,
		[WRITE_DELETED] = 9, [READ_ID] = 2, [READ_DELETED] = 9, [FORMAT] = 6, [DUMPREG] = 1, [SEEK] = 3,
		[VERSION] = 1, [SCAN_EQUAL] = 9,
		[PERPENDICULAR] = 2, [CONFIGURE] = 4, [LOCK] = 1, [VERIFY] = 9, [SCAN_LOW] = 9, [SCAN_HIGH] = 9,
	};

	return lengths[byte & 0x1f];
}

static void sense_interrupt(struct fdc *fdc)
{
	set_irq(fdc, false);
	for (unsigned n = 0; n < 4; n++) {
		if (!(fdc->pending >> n & 1))
			continue;
		fdc->pending &= (u8)~(1 << n);
		fdc_answer(fdc, (u8[2]){ fdc->pending_st0[n], fdc->pcn[n] }, 2);
		return;
	}
	fdc_answer(fdc, (u8[1]){ ST0_INVALID }, 1);
}

static u8 st3(struct fdc *fdc)
{
	const struct drive *d = drive_of(fdc);
	u8 value = (u8)(ST3_READY | ST3_TWO_SIDES | (fdc->command[1] & 7));

	if (d && d->present && !d->track)
		value |= ST3_TRACK_0;
	if (d && d->disk && disk_read_only(d->disk))
		value |= ST3_PROTECTED;
	return value;
}

static void dump_registers(struct fdc *fdc)
{
	fdc_answer(fdc,
		   (u8[10]){ fdc->pcn[0], fdc->pcn[1], fdc->pcn[2], fdc->pcn[3], fdc->specify[0], fdc->specify[1],
			     fdc->command[6], (u8)(fdc->lock << 7 | (fdc->perpendicular & 0x3f)), fdc->config,
			     fdc->precompensation },
		   10);
}

static void begin_execution(struct fdc *fdc)
{
	struct drive *d = drive_of(fdc);
	u64 ns = SECTOR_NS;

	fdc->phase = EXECUTING;
	fdc->st1 = fdc->st2 = 0;
	fdc->tc = fdc->have = fdc->compared_all = false;
	if (d && (fdc->config & CONFIG_IMPLIED_SEEK) && op(fdc) != FORMAT && op(fdc) != READ_ID &&
	    d->track != fdc->command[2]) {
		ns += SETTLE_NS;
		d->track = fdc->command[2] < TRACKS_MAX ? fdc->command[2] : TRACKS_MAX;
		fdc->pcn[d->number] = fdc->command[2];
	}
	if (op(fdc) == READ_TRACK)
		fdc->command[4] = 1;
	wait_for(fdc, ns);
}

static void run_command(struct fdc *fdc)
{
	const u8 *c = fdc->command;

	switch (op(fdc)) {
	case SPECIFY:
		memcpy(fdc->specify, c + 1, 2);
		fdc_answer(fdc, NULL, 0);
		break;
	case SENSE_DRIVE: fdc_answer(fdc, (u8[1]){ st3(fdc) }, 1); break;
	case SENSE_INTERRUPT: sense_interrupt(fdc); break;
	case DUMPREG: dump_registers(fdc); break;
	case VERSION: fdc_answer(fdc, (u8[1]){ 0x90 }, 1); break;
	case RECALIBRATE:
		fdc_answer(fdc, NULL, 0);
		begin_seek(fdc, unit(fdc), 0);
		break;
	case SEEK:
		fdc_answer(fdc, NULL, 0);
		begin_seek(fdc, unit(fdc),
			   !(c[0] & RELATIVE) ? c[2]
			   : c[0] & UP        ? fdc->pcn[unit(fdc)] + c[2]
					      : fdc->pcn[unit(fdc)] - c[2]);
		break;
	case PERPENDICULAR:
		fdc->perpendicular = c[1] & 0x80 ? c[1] & 0x3f : (fdc->perpendicular & 0x3c) | (c[1] & 3);
		fdc_answer(fdc, NULL, 0);
		break;
	case CONFIGURE:
		fdc->config = c[2];
		fdc->precompensation = c[3];
		fdc_answer(fdc, NULL, 0);
		break;
	case LOCK:
		fdc->lock = c[0] & 0x80;
		fdc_answer(fdc, (u8[1]){ (u8)(fdc->lock << 4) }, 1);
		break;
	default: begin_execution(fdc);
	}
}

/* A byte of the command phase; LOCK, SEEK and the transfers have options in the upper bits. */
static void command_byte(struct fdc *fdc, u8 value)
{
	if (!fdc->command_at) {
		fdc->command_len = (u8)command_length(value);
		if (!fdc->command_len) {
			log_line(fdc->log, "fdc: there is no command %02xh", value);
			fdc_answer(fdc, (u8[1]){ ST0_INVALID }, 1);
			return;
		}
	}
	fdc->command[fdc->command_at++] = value;
	if (fdc->command_at >= fdc->command_len || fdc->command_at == sizeof fdc->command) {
		fdc->command_at = 0;
		run_command(fdc);
	}
}

/* ---- reset ---- */

static void fdc_reset(struct fdc *fdc)
{
	clock_arm(fdc->clock, &fdc->event, CLOCK_NEVER);
	for (unsigned n = 0; n < 2; n++) {
		clock_arm(fdc->clock, &fdc->drive[n].seek, CLOCK_NEVER);
		fdc->drive[n].seeking = false;
	}
	fdc->phase = IDLE;
	fdc->command_at = fdc->pending = 0;
	memset(fdc->pcn, 0, sizeof fdc->pcn);
	fdc->perpendicular &= 0x3c;
	if (!fdc->lock)
		fdc->config = fdc->precompensation = 0;
	set_irq(fdc, false);
}

/* Polling finds all four drives ready, which they were not before. */
static void reset_ends(struct fdc *fdc)
{
	if (fdc->config & CONFIG_NO_POLL)
		return;
	fdc->pending = 15;
	for (unsigned n = 0; n < 4; n++)
		fdc->pending_st0[n] = (u8)(ST0_READY_CHANGED | n);
	wait_for(fdc, RESET_NS);
}

static void write_dor(struct fdc *fdc, u8 value)
{
	u8 was = fdc->dor;

	fdc->dor = value;
	if (!(value & DOR_RUN))
		fdc_reset(fdc);
	else if (!(was & DOR_RUN))
		reset_ends(fdc);
	else if (fdc->phase == EXECUTING && fdc->event.when == CLOCK_NEVER)
		wait_for(fdc, SECTOR_NS); /* a motor may have come on */
	drive_line(fdc);
}

/* ---- registers ---- */

static u8 main_status(const struct fdc *fdc)
{
	u8 busy = (u8)(fdc->drive[0].seeking | fdc->drive[1].seeking << 1);

	clock_steady(fdc->clock, CLOCK_NEVER);
	if (!(fdc->dor & DOR_RUN))
		return 0;
	switch (fdc->phase) {
	case EXECUTING: return busy | MSR_BUSY;
	case HOST_READS: return busy | MSR_RQM | MSR_DIO | MSR_NON_DMA | MSR_BUSY;
	case HOST_WRITES: return busy | MSR_RQM | MSR_NON_DMA | MSR_BUSY;
	case RESULT: return busy | MSR_RQM | MSR_DIO | MSR_BUSY;
	}
	return busy | MSR_RQM | (fdc->command_at ? MSR_BUSY : 0);
}

static u8 read_fifo(struct fdc *fdc)
{
	u8 value;

	if (fdc->phase == HOST_READS) {
		value = fdc->data[fdc->data_at++ % SECTOR];
		if (fdc->data_at >= fdc->data_len)
			host_done(fdc);
		return value;
	}
	if (fdc->phase != RESULT)
		return 0;
	set_irq(fdc, false);
	value = fdc->result[fdc->result_at++ % sizeof fdc->result];
	if (fdc->result_at >= fdc->result_len)
		fdc->phase = IDLE;
	return value;
}

static void write_fifo(struct fdc *fdc, u8 value)
{
	if (!(fdc->dor & DOR_RUN))
		return;
	if (fdc->phase == HOST_WRITES) {
		fdc->data[fdc->data_at++ % SECTOR] = value;
		if (fdc->data_at >= fdc->data_len)
			host_done(fdc);
	} else if (fdc->phase == IDLE) {
		command_byte(fdc, value);
	}
}

static u64 ports_read(void *owner, u64 offset, unsigned size)
{
	struct fdc *fdc = owner;
	const struct drive *d = &fdc->drive[fdc->dor & 1];

	(void)size;
	switch (offset) {
	case SRA: return (u64)(fdc->irq << 7);
	case SRB: return 0xc0;
	case DOR: return fdc->dor;
	case TDR: return fdc->tdr;
	case MSR: return main_status(fdc);
	case FIFO: return read_fifo(fdc);
	}
	return (fdc->dor & DOR_DRIVE) > 1 || !d->present || d->changed || !d->disk ? DIR_CHANGED : 0;
}

static void ports_write(void *owner, u64 offset, unsigned size, u64 value)
{
	struct fdc *fdc = owner;

	(void)size;
	switch (offset) {
	case DOR: write_dor(fdc, (u8)value); break;
	case TDR: fdc->tdr = value & 3; break;
	case DSR:
		fdc->dsr = (u8)value;
		fdc->ccr = value & 3;
		if ((value & DSR_RESET) && (fdc->dor & DOR_RUN)) {
			fdc->dsr &= (u8)~DSR_RESET;
			fdc_reset(fdc);
			reset_ends(fdc);
		}
		break;
	case FIFO: write_fifo(fdc, (u8)value); break;
	case CCR: fdc->ccr = value & 3; break;
	}
}

static u64 dir_read(void *owner, u64 offset, unsigned size) { return ports_read(owner, offset + DIR, size); }
static void ccr_write(void *owner, u64 offset, unsigned size, u64 value)
{
	ports_write(owner, offset + CCR, size, value);
}

static const struct device_ops ports_ops = { ports_read, ports_write, 1, 1 };
static const struct device_ops dir_ops = { dir_read, ccr_write, 1, 1 };

/* ---- life ---- */

struct fdc *fdc_new(struct space *ports, struct clock *clock, struct line irq6, struct dma *dma,
	struct disk *const disks[2],
		const bool present[2], const struct log *log)
{
	static const char *const names[] = { "fdc seek 0", "fdc seek 1" };
	struct fdc *fdc = calloc(1, sizeof *fdc);

	if (!fdc)
		return NULL;
	fdc->clock = clock;
	fdc->line = irq6;
	fdc->dma = dma;
	fdc->log = log;
	fdc->ccr = fdc->dsr = 2;
	clock_add(clock, &fdc->event, "fdc", fire, fdc);
	for (unsigned n = 0; n < 2; n++) {
		struct drive *d = &fdc->drive[n];

		d->fdc = fdc;
		d->number = n;
		d->disk = disks[n];
		d->present = present[n];
		d->format = format_of(d->disk);
		d->changed = true;
		clock_add(clock, &d->seek, names[n], fire_seek, d);
	}
	if (space_add_device(ports, "fdc", 0x3f0, 6, &ports_ops, fdc) < 0 ||
	    space_add_device(ports, "fdc", 0x3f7, 1, &dir_ops, fdc) < 0) {
		free(fdc);
		return NULL;
	}
	return fdc;
}

void fdc_free(struct fdc *fdc)
{
	free(fdc);
}

void fdc_refresh(struct fdc *fdc)
{
	drive_line(fdc);
}

struct part fdc_part(struct fdc *fdc)
{
	return (struct part){ "fdc", fdc, fdc_fields, NULL };
}
