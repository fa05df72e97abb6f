/* SPDX-License-Identifier: MIT */
/* The IDE function of the PIIX3 (82371SB data sheet; ATA8-APT; Bus Master IDE 1.0). Limits: ide.h. */
#include <stdlib.h>
#include "io/disk/ide.h"

/* read: error, status; written: feature, command */
enum { DATA, ERROR, COUNT, LBA_LOW, LBA_MID, LBA_HIGH, DEVICE, COMMAND };
enum { FEATURE = ERROR, STATUS = COMMAND };
enum { CONTROL_NO_IRQ = 2, CONTROL_SRST = 4, CONTROL_HOB = 0x80 };
enum { BM_COMMAND = 0, BM_STATUS = 2, BM_TABLE = 4 };
enum { BM_START = 1, BM_TO_MEMORY = 8 };
enum { BM_ACTIVE = 1, BM_ERROR = 2, BM_IRQ = 4, BM_CAPABLE = 0x60 };
enum { REASON_COMMAND = 1, REASON_IN = 2 }; /* ATAPI: what the count register says */
enum { IDETIM = 0x40, DECODE = 0x8000, COMMAND_DIAGNOSTIC = 0x90, COMMAND_DEVICE_RESET = 8, COMMAND_PACKET = 0xa0 };
enum { PACKET_LEN = 12, PRD_MAX = 8192 };

/* What a channel is doing. */
enum phase {
	IDLE,
	BUSY,       /* BSY; the event brings the (next) data, or takes what is in the buffer */
	READING,    /* DRQ: the host reads the buffer */
	WRITING,    /* DRQ: the host fills the buffer */
	PACKET,     /* DRQ: the host fills it with a packet */
	DMA,        /* DRQ: the drive waits for the bus master */
	FINISHING,  /* BSY; all data is moved; the event ends the command */
	RESETTING,  /* BSY, as long as SRST is set */
	PHASES
};

struct channel {
	struct ata_command cmd[2];
	u8 selected, active;   /* drive */
	u8 phase;
	u8 control;
	bool irq;              /* INTRQ, before nIEN */
	u8 buffer[ATA_BLOCK_MAX];
	u32 at, len;           /* in the buffer */
	u8 bm_command, bm_status;
	u32 bm_table;
	struct event event;
	/* wiring */
	struct ide *ide;
	struct ata_drive *drive[2];
	struct line line;
	unsigned number;
};

struct ide {
	struct channel channel[2];
	struct pci_function pci;
	struct clock *clock;
};

#define CHANNEL_FIELDS(n) \
	ATA_COMMAND_FIELDS(struct ide, channel[n].cmd[0]), ATA_COMMAND_FIELDS(struct ide, channel[n].cmd[1]), \
	FIELD_MAX(struct ide, channel[n].selected, U8, 1), FIELD_MAX(struct ide, channel[n].active, U8, 1), \
	FIELD_MAX(struct ide, channel[n].phase, U8, PHASES - 1), FIELD(struct ide, channel[n].control, U8), \
	FIELD(struct ide, channel[n].irq, BOOL), FIELDS(struct ide, channel[n].buffer, U8), \
	FIELD_MAX(struct ide, channel[n].at, U32, ATA_BLOCK_MAX), \
		FIELD_MAX(struct ide, channel[n].len, U32, ATA_BLOCK_MAX), \
	FIELD(struct ide, channel[n].bm_command, U8), FIELD(struct ide, channel[n].bm_status, U8), \
	FIELD(struct ide, channel[n].bm_table, U32), FIELD(struct ide, channel[n].event, EVENT)

static const struct field ide_fields[] = {
	CHANNEL_FIELDS(0),
	CHANNEL_FIELDS(1),
	FIELD_END
};

/* INTRQ on the cable: a drive that is not selected releases it, as nIEN makes all of them do (ATA/ATAPI-6, 5.2.9). */
static bool intrq(const struct channel *ch)
{
	return ch->irq && ch->selected == ch->active && !(ch->control & CONTROL_NO_IRQ);
}

static void drive_line(struct channel *ch)
{
	line_set(&ch->line, intrq(ch));
}

static void set_irq(struct channel *ch, bool level)
{
	bool was = ch->irq;

	ch->irq = level;
	if (intrq(ch) && !was)
		ch->bm_status |= BM_IRQ;
	drive_line(ch);
}

static void wait_for(struct channel *ch, enum phase phase, u64 ns)
{
	ch->phase = (u8)phase;
	clock_arm(ch->ide->clock, &ch->event, clock_in(ch->ide->clock, ns));
}

/* ---- a command's way ---- */

static void set_reason(struct channel *ch, u8 reason, u32 len)
{
	struct ata_command *cmd = &ch->cmd[ch->active];

	if (cmd->command != COMMAND_PACKET)
		return;
	cmd->count = (u16)((cmd->count & 0xfff8) | reason);
	if (len)
		cmd->lba = (cmd->lba & ~(u64)0xffff00) | len << 8;
}

/* The disk has no room, or whatever the host needs: the same again. */
static void try_again(struct channel *ch, enum phase phase)
{
	wait_for(ch, phase, 1);
	ata_wait(ch->drive[ch->active]);
}

static void finish(struct channel *ch)
{
	if (ata_finish(ch->drive[ch->active], &ch->cmd[ch->active]) != DISK_OK) {
		try_again(ch, FINISHING);
		return;
	}
	ch->phase = IDLE;
	set_reason(ch, REASON_COMMAND | REASON_IN, 0);
	set_irq(ch, true);
}

static void offer(struct channel *ch, enum phase phase, u8 reason)
{
	const struct ata_command *cmd = &ch->cmd[ch->active];

	ch->phase = (u8)phase;
	ch->at = 0;
	ch->len = cmd->left < cmd->block ? cmd->left : cmd->block;
	if (ch->len > ATA_BLOCK_MAX)
		ch->len = ATA_BLOCK_MAX;
	set_reason(ch, reason, ch->len);
}

static void pio_in(struct channel *ch)
{
	struct ata_command *cmd = &ch->cmd[ch->active];

	offer(ch, READING, REASON_IN);
	ch->buffer[ch->len & (ATA_BLOCK_MAX - 1)] = 0; /* behind an odd length */
	if (ata_in(ch->drive[ch->active], cmd, ch->buffer, ch->len) != DISK_OK)
		try_again(ch, BUSY);
	else if (cmd->status & ATA_ERR)
		finish(ch);
	else
		set_irq(ch, true);
}

static void pio_out(struct channel *ch)
{
	struct ata_command *cmd = &ch->cmd[ch->active];

	if (ata_out(ch->drive[ch->active], cmd, ch->buffer, ch->len < cmd->left ? ch->len : cmd->left) != DISK_OK) {
		try_again(ch, BUSY);
	} else if ((cmd->status & ATA_ERR) || !cmd->left) {
		finish(ch);
	} else {
		offer(ch, WRITING, 0);
		set_irq(ch, true);
	}
}

/* A table of physical regions:  0 address, even   4 bytes, even, 0: 64 KiB   7 bit 7: the last one */
struct prd { struct space *mem; u32 at; unsigned count; bool last; };

static bool next_region(void *owner, u64 *addr, u32 *len)
{
	struct prd *prd = owner;
	u8 entry[8];

	if (prd->last || prd->count++ == PRD_MAX)
		return false;
	space_read_block(prd->mem, prd->at, entry, sizeof entry);
	prd->at += 8;
	prd->last = entry[7] & 0x80;
	*addr = get32(entry) & ~1u;
	*len = get16(entry + 4) & 0xfffe;
	if (!*len)
		*len = 65536;
	return true;
}

static void dma(struct channel *ch)
{
	struct ata_command *cmd = &ch->cmd[ch->active];
	struct prd prd = { pci_memory(&ch->ide->pci), ch->bm_table, 0, false };
	bool to_memory = ch->bm_command & BM_TO_MEMORY;

	if (!(ch->bm_status & BM_ACTIVE) || !pci_master(&ch->ide->pci) || to_memory != (cmd->protocol == ATA_DMA_IN)) {
		ch->phase = DMA;
		return;
	}
	if (ata_dma(ch->drive[ch->active], cmd, prd.mem, next_region, &prd) != DISK_OK) {
		try_again(ch, BUSY);
		return;
	}
	ch->bm_status &= (u8)~BM_ACTIVE;
	if (cmd->left && !(cmd->status & ATA_ERR))
		ch->phase = DMA; /* the table is too short: the drive waits for another */
	else
		finish(ch);
}

static void fire(void *owner, u64 late)
{
	struct channel *ch = owner;

	(void)late;
	if (!ch->drive[ch->active])
		return;
	if (ch->phase == FINISHING) {
		finish(ch);
		return;
	}
	if (ch->phase != BUSY)
		return;
	switch (ch->cmd[ch->active].protocol) {
	case ATA_PIO_IN: pio_in(ch); break;
	case ATA_PIO_OUT: pio_out(ch); break;
	case ATA_DMA_IN: case ATA_DMA_OUT: dma(ch); break;
	default: finish(ch);
	}
}

static void started(struct channel *ch)
{
	struct ata_command *cmd = &ch->cmd[ch->active];

	if (cmd->protocol == ATA_PIO_OUT) { /* the first block is wanted at once, without an interrupt */
		offer(ch, WRITING, 0);
		if (cmd->command == COMMAND_PACKET)
			set_irq(ch, true);
	} else {
		wait_for(ch, BUSY, cmd->ns);
	}
}

/* The host has moved the buffer. */
static void moved(struct channel *ch)
{
	struct ata_command *cmd = &ch->cmd[ch->active];
	struct ata_drive *drive = ch->drive[ch->active];

	if (!drive) {
		ch->phase = IDLE;
	} else if (ch->phase == PACKET) {
		ata_packet(drive, cmd, ch->buffer, cmd->feature & 1);
		started(ch);
	} else if (ch->phase == WRITING || cmd->left) {
		wait_for(ch, BUSY, ata_time(ch->len));
	} else if (cmd->command == COMMAND_PACKET) {
		wait_for(ch, FINISHING, 1000);
	} else {
		ch->phase = IDLE;
	}
}

static bool decodes(const struct channel *ch)
{
	const struct pci_function *f = &ch->ide->pci;

	return (f->config[PCI_COMMAND] & PCI_COMMAND_IO) && (get16(&f->config[IDETIM + 2 * ch->number]) & DECODE);
}

static u64 data_read(struct channel *ch, unsigned size)
{
	u8 bytes[4] = { 0 };

	if (ch->phase != READING)
		return 0xffffffff;
	for (unsigned i = 0; i < size && ch->at < ATA_BLOCK_MAX; i++)
		bytes[i] = ch->buffer[ch->at++];
	if (ch->at >= ch->len)
		moved(ch);
	return get32(bytes);
}

/* What data_read gives, up to the end of the block. */
static u64 data_read_string(void *owner, u64 offset, unsigned size, void *out, u64 n)
{
	struct channel *ch = owner;
	u64 left;

	if (offset != DATA || ch->phase != READING || !decodes(ch) || ch->at >= ch->len)
		return 0;
	left = (ch->len - ch->at) / size;
	if (n > left)
		n = left;
	memcpy(out, ch->buffer + ch->at, n * size);
	ch->at += (u32)(n * size);
	if (ch->at >= ch->len)
		moved(ch);
	return n;
}

static void data_write(struct channel *ch, unsigned size, u64 value)
{
	if (ch->phase != WRITING && ch->phase != PACKET)
		return;
	for (unsigned i = 0; i < size && ch->at < ATA_BLOCK_MAX; i++)
		ch->buffer[ch->at++] = (u8)(value >> 8 * i);
	if (ch->at >= ch->len)
		moved(ch);
}

/* ---- resets ---- */

static void stop(struct channel *ch)
{
	clock_arm(ch->ide->clock, &ch->event, CLOCK_NEVER);
	ch->phase = IDLE;
	set_irq(ch, false);
}

static void reset_drives(struct channel *ch)
{
	for (unsigned i = 0; i < 2; i++) {
		ch->cmd[i].device = 0;
		if (ch->drive[i])
			ata_reset(ch->drive[i], &ch->cmd[i]);
	}
	ch->selected = 0;
}

/* Both drives execute it, and drive 0 interrupts for both. Afterwards drive 0 is selected. */
static void diagnose(struct channel *ch)
{
	for (unsigned i = 0; i < 2; i++) {
		ch->cmd[i].command = COMMAND_DIAGNOSTIC;
		ch->cmd[i].device = 0;
		if (ch->drive[i])
			ata_begin(ch->drive[i], &ch->cmd[i]);
	}
	ch->selected = ch->active = 0;
	if (ch->drive[0])
		wait_for(ch, BUSY, 2000);
}

static void write_control(struct channel *ch, u8 value)
{
	bool reset = value & CONTROL_SRST, was = ch->control & CONTROL_SRST;

	ch->control = value;
	drive_line(ch);
	if (reset && !was) {
		stop(ch);
		ch->phase = RESETTING;
	} else if (!reset && was) {
		ch->phase = IDLE;
		reset_drives(ch);
	}
}

/* ---- the task file ---- */

/* Nothing answers: there is no drive, or a drive 1 alone, which does not answer for drive 0. */
static bool silent(const struct channel *ch)
{
	return !ch->drive[0] && !(ch->drive[1] && ch->selected);
}

static u8 status(const struct channel *ch)
{
	u8 s = ch->cmd[ch->selected].status;

	clock_steady(ch->ide->clock, CLOCK_NEVER);
	if (silent(ch))
		return 0x7f; /* the host pulls DD7 down */
	if (ch->phase == RESETTING)
		return ATA_BSY;
	if (!ch->drive[ch->selected])
		return 0;
	if (ch->selected != ch->active && ch->phase != IDLE)
		return s;
	switch (ch->phase) {
	case BUSY: case FINISHING: return ATA_BSY;
	case READING: case WRITING: case PACKET: case DMA: return s | ATA_DRQ;
	}
	return s;
}

static void write_command(struct channel *ch, u8 command)
{
	struct ata_drive *drive = ch->drive[ch->selected];
	struct ata_command *cmd = &ch->cmd[ch->selected];
	bool resets = command == COMMAND_DEVICE_RESET && drive && ata_is_cdrom(drive);

	if (command == COMMAND_DIAGNOSTIC && ch->phase != RESETTING) {
		stop(ch);
		diagnose(ch);
		return;
	}
	if (!drive || ch->phase == RESETTING)
		return;
	if (resets)
		stop(ch);
	else if (ch->phase != IDLE)
		return;
	set_irq(ch, false);
	ch->active = ch->selected;
	cmd->command = command;
	ata_begin(drive, cmd);
	if (resets)
		return; /* done; it makes no interrupt */
	if (cmd->protocol == ATA_PACKET) {
		ch->phase = PACKET;
		ch->at = 0;
		ch->len = PACKET_LEN;
		set_reason(ch, REASON_COMMAND, 0);
	} else {
		started(ch);
	}
}

/* A byte of a register pair: the old contents become the previous ones. */
static u16 pushed(u16 old, u8 value) { return (u16)(old << 8 | value); }

static void ide_write_register(struct channel *ch, unsigned offset, u8 value)
{
	ch->control &= (u8)~CONTROL_HOB;
	if (offset == COMMAND) {
		write_command(ch, value);
		return;
	}
	if (ch->phase != IDLE && ch->phase != RESETTING && ch->selected == ch->active)
		return; /* the drive owns them */
	if (offset == DEVICE)
		ch->selected = value >> 4 & 1;
	for (unsigned i = 0; i < 2; i++) { /* both drives hear it */
		struct ata_command *cmd = &ch->cmd[i];
		unsigned shift = 8 * (offset - LBA_LOW);

		switch (offset) {
		case FEATURE: cmd->feature = pushed(cmd->feature, value); break;
		case COUNT: cmd->count = pushed(cmd->count, value); break;
		case DEVICE: cmd->device = value; break;
		default: /*   low, mid, high */
			cmd->lba = (cmd->lba & ~((u64)0xff0000ff << shift)) |
				   (cmd->lba >> shift & 0xff) << (shift + 24) | (u64)value << shift;
		}
	}
	drive_line(ch);
}

static u8 ide_read_register(struct channel *ch, unsigned offset)
{
	bool absent = !ch->drive[ch->selected];
	const struct ata_command *cmd = &ch->cmd[absent ? 0 : ch->selected];
	unsigned previous = ch->control & CONTROL_HOB ? 1 : 0;

	if (offset == STATUS) {
		if (ch->selected == ch->active)
			set_irq(ch, false);
		return status(ch);
	}
	if (silent(ch))
		return 0xff;
	/* For a drive 1 that is absent drive 0 answers; a CD-ROM drive, with zeros (ATA/ATAPI-6, 9.16.1). */
	if (absent && ata_is_cdrom(ch->drive[0]))
		return 0;
	switch (offset) {
	case ERROR: return cmd->error;
	case COUNT: return (u8)(cmd->count >> 8 * previous);
	case DEVICE: return cmd->device | 0xa0;
	default: return (u8)(cmd->lba >> (8 * (offset - LBA_LOW) + 24 * previous));
	}
}

static u64 ports_read(void *owner, u64 offset, unsigned size)
{
	struct channel *ch = owner;
	u64 value = 0;

	if (!decodes(ch))
		return ~(u64)0;
	if (offset == DATA)
		return data_read(ch, size);
	for (unsigned i = 0; i < size; i++)
		value |= (u64)ide_read_register(ch, (unsigned)offset + i) << 8 * i;
	return value;
}

static void ports_write(void *owner, u64 offset, unsigned size, u64 value)
{
	struct channel *ch = owner;

	if (!decodes(ch))
		return;
	if (offset == DATA) {
		data_write(ch, size, value);
		return;
	}
	for (unsigned i = 0; i < size; i++)
		ide_write_register(ch, (unsigned)offset + i, (u8)(value >> 8 * i));
}

static u64 control_read(void *owner, u64 offset, unsigned size)
{
	struct channel *ch = owner;

	(void)offset, (void)size;
	return decodes(ch) ? status(ch) : 0xff; /* the alternate status takes no interrupt back */
}

static void control_write(void *owner, u64 offset, unsigned size, u64 value)
{
	(void)offset, (void)size;
	if (decodes(owner))
		write_control(owner, (u8)value);
}

static const struct device_ops ports_ops = { ports_read, ports_write, 1, 4 };
static const struct device_ops control_ops = { control_read, control_write, 1, 1 };

/* ---- the bus master ---- */

static u64 bm_read(void *owner, u64 offset, unsigned size)
{
	struct ide *ide = owner;
	const struct channel *ch = &ide->channel[offset >> 3 & 1];
	u8 bytes[8] = { [BM_COMMAND] = ch->bm_command, [BM_STATUS] = ch->bm_status };

	put32(bytes + BM_TABLE, ch->bm_table);
	return get_size(bytes + (offset & 7), size);
}

static void bm_write_command(struct channel *ch, u8 value)
{
	bool was = ch->bm_command & BM_START, start = value & BM_START;

	ch->bm_command = value & (BM_START | BM_TO_MEMORY);
	if (!start) {
		ch->bm_status &= (u8)~BM_ACTIVE;
	} else if (!was) {
		ch->bm_status |= BM_ACTIVE;
		if (ch->phase == DMA)
			wait_for(ch, BUSY, ata_time(ch->cmd[ch->active].left));
	}
}

static void bm_write(void *owner, u64 offset, unsigned size, u64 value)
{
	struct ide *ide = owner;
	struct channel *ch = &ide->channel[offset >> 3 & 1];

	for (unsigned i = 0; i < size; i++) {
		unsigned at = (unsigned)(offset & 7) + i, shift = 8 * (at - BM_TABLE);
		u8 byte = (u8)(value >> 8 * i);

		if (at == BM_COMMAND)
			bm_write_command(ch, byte);
		else if (at == BM_STATUS)
			ch->bm_status = (u8)((ch->bm_status & BM_ACTIVE) | (byte & BM_CAPABLE) |
				(ch->bm_status & ~byte & (BM_ERROR | BM_IRQ)));
		else if (at >= BM_TABLE)
			ch->bm_table = ((ch->bm_table & ~(0xffu << shift)) | (u32)byte << shift) & ~3u;
	}
}

static const struct device_ops bm_ops = { bm_read, bm_write, 1, 4 };

/* ---- life ---- */

static bool add_channel(struct ide *ide, unsigned n, struct space *ports, struct line irq,
			struct ata_drive *const drives[2])
{
	static const char *const names[] = { "ide primary", "ide secondary" };
	struct channel *ch = &ide->channel[n];
	u64 base = n ? 0x170 : 0x1f0;
	int range;

	ch->ide = ide;
	ch->number = n;
	ch->line = irq;
	ch->drive[0] = drives[0];
	ch->drive[1] = drives[1];
	clock_add(ide->clock, &ch->event, names[n], fire, ch);
	reset_drives(ch);
	range = space_add_device(ports, names[n], base, 8, &ports_ops, ch);
	space_set_string(ports, range, data_read_string);
	return range >= 0 &&
		space_add_device(ports, names[n], base + 0x206, 1, &control_ops, ch) >= 0;
}

struct ide *ide_new(struct space *ports, struct pci_bus *pci, unsigned slot, unsigned number, struct clock *clock,
		struct line irq14, struct line irq15, struct ata_drive *const drives[4], bool ready)
{
	struct ide *ide = calloc(1, sizeof *ide);

	if (!ide)
		return NULL;
	ide->clock = clock;
	pci_init(&ide->pci, "ide pci", 0x8086, 0x7010, 0x010180);
	pci_bar_ports(&ide->pci, 4, 16, &bm_ops, ide);
	pci_writable(&ide->pci, IDETIM, 4, 0xffffffff);
	pci_writable(&ide->pci, 0x44, 1, 0xff); /* SIDETIM */
	if (ready) {
		put16(&ide->pci.config[IDETIM], DECODE);
		put16(&ide->pci.config[IDETIM + 2], DECODE);
		put16(&ide->pci.config[PCI_COMMAND], PCI_COMMAND_IO | PCI_COMMAND_MASTER);
	}
	if (!add_channel(ide, 0, ports, irq14, drives) || !add_channel(ide, 1, ports, irq15, drives + 2) ||
			!pci_attach(pci, &ide->pci, slot, number)) {
		free(ide);
		return NULL;
	}
	return ide;
}

void ide_free(struct ide *ide)
{
	free(ide);
}

void ide_refresh(struct ide *ide)
{
	drive_line(&ide->channel[0]);
	drive_line(&ide->channel[1]);
}

struct part ide_part(struct ide *ide)
{
	return (struct part){ "ide", ide, ide_fields, NULL };
}
