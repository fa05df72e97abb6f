/* SPDX-License-Identifier: MIT */
/* The guest's devices: an 8259A pair (fixed priorities, no rotation), channel 0 of an 8254, an IDE disk with READ
 * and WRITE SECTORS, the debug console, and the switch. Nothing else is behind its ports: ones are read, and writes
 * vanish. The disk is a part of the machine's; the timer is the machine's, which the monitor does not need for
 * itself. */
#include "monitor.h"

static struct pic {
	u8 request, service, mask, base, step;
	bool automatic;
} pic[2] = { { .mask = 0xff }, { .mask = 0xff } };

static void pic_write(struct pic *p, unsigned a0, u8 value)
{
	if (!a0 && value & 0x10) {
		*p = (struct pic){ .step = 1 };
	} else if (!a0) {
		if (value == 0x20 && p->service)
			p->service &= (u8)(p->service - 1); /* the highest priority is the lowest bit */
	} else if (p->step == 1) {
		p->base = value & 0xf8;
		p->step = 2;
	} else if (p->step == 2) {
		p->step = 3;
	} else if (p->step == 3) {
		p->automatic = value & 2; /* end of interrupt */
		p->step = 0;
	} else {
		p->mask = value;
	}
}

/* The line that would interrupt; 8: none. */
static unsigned pic_line(const struct pic *p)
{
	unsigned ready = p->request & ~p->mask & 0xff, line = ready ? (unsigned)__builtin_ctz(ready) : 8;

	return line < 8 && !(p->service & ((2u << line) - 1)) ? line : 8;
}

void interrupt_line(unsigned line)
{
	if (line >= 8)
		out8(0xa0, 0x20);
	out8(0x20, 0x20);
	pic[line >> 3].request |= (u8)(1u << (line & 7));
}

int interrupt_pending(void)
{
	unsigned line = pic_line(&pic[0]);

	return line < 8 ? (int)(pic[0].base + line) : -1;
}

int interrupt_accept(void)
{
	int vector = interrupt_pending();

	if (vector >= 0) {
		pic[0].request &= (u8)~(1u << (vector & 7));
		if (!pic[0].automatic)
			pic[0].service |= (u8)(1u << (vector & 7));
	}
	return vector;
}

/* ---- timer ---- */

void timer_program(u8 mode, u16 divisor)
{
	out8(0x43, (u8)(0x30 | (mode & 0xe)));
	out8(0x40, (u8)divisor), out8(0x40, (u8)(divisor >> 8));
}

static void timer_write(unsigned port, u8 value)
{
	static u8 mode, low;
	static bool second;

	if (port == 0x43 && value >> 6 == 0) {
		mode = value, second = false;
	} else if (port == 0x40) {
		if (second)
			timer_program(mode, (u16)(low | value << 8));
		low = value;
		second = !second;
	}
}

/* ---- disk ---- */

enum {
	IDE = 0x1f0,
	STATUS = 7,
	BUSY = 0x80,
	READY = 0x50,
	REQUEST = 8,
	ERROR = 1,
	READ = 0x20,
	WRITE = 0x30,
	WORDS = 256
};
static struct { u8 task[8], status; u16 data[WORDS]; unsigned at; bool writes; } disk = { .status = READY };

static u32 disk_lba(void)
{
	return disk.task[3] | (u32)disk.task[4] << 8 | (u32)disk.task[5] << 16 | (u32)(disk.task[6] & 15) << 24;
}

bool disk_sector(u32 sector, void *data, bool write)
{
	u32 words = WORDS;

	if (sector >= GUEST_SECTORS)
		return false;
	sector += FIRST_SECTOR;
	out8(0x3f6, 2);
	out8(IDE + 2, 1);
	out8(IDE + 3, (u8)sector), out8(IDE + 4, 0), out8(IDE + 5, 0), out8(IDE + 6, 0xe0);
	out8(IDE + 7, write ? WRITE : READ);
	while (in8(IDE + 7) & BUSY)
		;
	if (write)
		__asm__ volatile("rep outsw" : "+S"(data), "+c"(words) : "d"(IDE) : "memory");
	else
		__asm__ volatile("rep insw" : "+D"(data), "+c"(words) : "d"(IDE) : "memory");
	while (in8(IDE + 7) & BUSY)
		;
	return true;
}

static void disk_command(u8 command)
{
	disk.at = 0;
	disk.writes = command == WRITE;
	if ((command != READ && command != WRITE) || disk_lba() >= GUEST_SECTORS ||
	    (command == READ && !disk_sector(disk_lba(), disk.data, false)))
		disk.status = READY | ERROR;
	else
		disk.status = READY | REQUEST;
}

static u16 disk_data(bool write, u16 value)
{
	u16 *word = &disk.data[disk.at];

	if (!(disk.status & REQUEST) || write != disk.writes)
		return 0xffff;
	if (write)
		*word = value;
	if (++disk.at == WORDS) {
		disk.status = READY;
		if (write && !disk_sector(disk_lba(), disk.data, true))
			disk.status |= ERROR;
	}
	return *word;
}

/* ---- ports ---- */

void console(char c) { out8(0xe9, (u8)c); }

u32 port_read(u16 port, unsigned size)
{
	if (port == IDE && size == 2)
		return disk_data(false, 0);
	if (size == 1)
		switch (port) {
		case 0x20: return pic[0].request;
		case 0xa0: return pic[1].request;
		case 0x21: return pic[0].mask;
		case 0xa1: return pic[1].mask;
		case 0xe9: return 0xe9;
		case IDE + STATUS: case 0x3f6: return disk.status;
		default:
			if (port > IDE && port < IDE + STATUS)
				return disk.task[port - IDE];
		}
	return 0xffffffff;
}

void port_write(u16 port, unsigned size, u32 value)
{
	u8 byte = (u8)value;

	if (size == 2 && port == IDE)
		disk_data(true, (u16)value);
	else if (size == 2 && port == 0x604 && value & 0x2000)
		finish();
	else if (size == 1 && (port == 0x20 || port == 0x21))
		pic_write(&pic[0], port & 1, byte);
	else if (size == 1 && (port == 0xa0 || port == 0xa1))
		pic_write(&pic[1], port & 1, byte);
	else if (size == 1 && (port == 0x40 || port == 0x43))
		timer_write(port, byte);
	else if (size == 1 && port == 0xe9)
		console((char)byte);
	else if (size == 1 && port == IDE + STATUS)
		disk_command(byte);
	else if (size == 1 && port > IDE && port < IDE + STATUS)
		disk.task[port - IDE] = byte;
}
