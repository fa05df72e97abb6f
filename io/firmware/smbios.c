/* SPDX-License-Identifier: MIT */
/* The SMBIOS tables (System Management BIOS reference specification 2.8). smbios.h lists the structures. */
#include "io/firmware/smbios.h"

/* Chapter 7: the types of structures that there are here. */
enum { FIRMWARE = 0, SYSTEM = 1, ENCLOSURE = 3, PROCESSOR = 4, MEMORY_ARRAY = 16, MEMORY_DEVICE = 17, MEMORY_MAP = 19,
	BOOT = 32, END = 127 };

struct build {
	u8 *at;
	u16 count, largest;
};

/* A structure of LEN bytes, begun: 0 type  1 length  2 handle  4.. */
static u8 *begin(struct build *b, u8 type, u8 len)
{
	u8 *s = b->at;

	memset(s, 0, len);
	s[0] = type;
	s[1] = len;
	put16(s + 2, (u16)(type << 8));
	b->at += len;
	return s;
}

/* Its strings, separated by 0, numbered from 1; "" for none. */
static void end(struct build *b, const u8 *s, const char *strings, u32 len)
{
	memcpy(b->at, strings, len);
	b->at += len;
	*b->at++ = 0;
	b->count++;
	if (b->at - s > b->largest)
		b->largest = (u16)(b->at - s);
}

#define STRINGS(b, s, text) end(b, s, text, sizeof text)

static void build_firmware(struct build *b)
{
	u8 *s = begin(b, FIRMWARE, 24);

	s[4] = 1;
	s[5] = 2;
	put16(s + 6, 0xe800);
	s[8] = 3;
	put64(s + 10, 1 << 7);  /* PCI */
	s[19] = 1 << 2 | 1 << 3; /* targeted content, and this is a virtual machine */
	s[22] = s[23] = 0xff;
	STRINGS(b, s, "libvcpu\0" "1\0" "01/01/2000");
}

static void build_system(struct build *b)
{
	u8 *s = begin(b, SYSTEM, 27);

	s[4] = 1;
	s[5] = 2;
	s[24] = 6; /* woken up by the power switch */
	STRINGS(b, s, "libvcpu\0" "PC");
	s = begin(b, ENCLOSURE, 22);
	s[4] = 1;
	s[5] = 1;  /* "other" */
	s[9] = s[10] = s[11] = 3; /* safe */
	s[12] = 2;
	STRINGS(b, s, "libvcpu");
}

static void build_processor(struct build *b, const struct smbios_system *system)
{
	u8 *s = begin(b, PROCESSOR, 42), cores = (u8)(system->cpus < 255 ? system->cpus : 255);

	s[4] = 1;
	s[5] = 3;  /* a central processor */
	s[6] = 1;
	s[7] = 2;
	put32(s + 8, system->signature);
	put32(s + 12, system->features);
	put16(s + 20, 1000); /* MHz: an instruction a nanosecond */
	put16(s + 22, 1000);
	s[24] = 0x41; /* populated, enabled */
	s[25] = 1;
	put16(s + 26, 0xffff); /* no structures about caches */
	put16(s + 28, 0xffff);
	put16(s + 30, 0xffff);
	s[35] = s[36] = s[37] = cores;
	put16(s + 40, 1);
	STRINGS(b, s, "CPU 0\0" "libvcpu");
}

static void build_memory(struct build *b, u64 ram)
{
	u64 kib = ram / KiB, mib = ram / MiB;
	u8 *s = begin(b, MEMORY_ARRAY, 23);

	s[4] = 1;  /* other place */
	s[5] = 3;  /* system memory */
	s[6] = 3;  /* no error correction */
	put32(s + 7, kib < 0x80000000u ? (u32)kib : 0x80000000u);
	put16(s + 11, 0xfffe);
	put16(s + 13, 1);
	put64(s + 15, kib < 0x80000000u ? 0 : ram);
	STRINGS(b, s, "");
	s = begin(b, MEMORY_DEVICE, 40);
	put16(s + 4, MEMORY_ARRAY << 8);
	put16(s + 6, 0xfffe);
	put16(s + 8, 0xffff);
	put16(s + 10, 0xffff);
	put16(s + 12, mib < 0x7fff ? (u16)mib : 0x7fff);
	put32(s + 28, mib < 0x7fff ? 0 : (u32)mib);
	s[14] = 9; /* DIMM */
	s[16] = 1;
	s[18] = 7; /* RAM */
	put16(s + 19, 2);
	STRINGS(b, s, "DIMM 0");
	s = begin(b, MEMORY_MAP, 31);
	put32(s + 4, kib < 0xffffffffu ? 0 : 0xffffffffu);
	put32(s + 8, kib < 0xffffffffu ? (u32)kib - 1 : 0xffffffffu);
	put16(s + 12, MEMORY_ARRAY << 8);
	s[14] = 1;
	put64(s + 23, kib < 0xffffffffu ? 0 : ram - 1);
	STRINGS(b, s, "");
}

/* What makes the sum of LEN bytes zero. */
static u8 checksum(const u8 *p, unsigned len)
{
	u8 sum = 0;

	while (len--)
		sum += *p++;
	return (u8)-sum;
}

u32 smbios_build(const struct smbios_system *system, u32 address, u8 entry[SMBIOS_ENTRY], u8 *out)
{
	struct build b = { .at = out };
	u8 *s;
	u32 len;

	if (system->firmware)
		build_firmware(&b);
	build_system(&b);
	build_processor(&b, system);
	build_memory(&b, system->ram);
	s = begin(&b, BOOT, 11);
	STRINGS(&b, s, "");
	s = begin(&b, END, 4);
	STRINGS(&b, s, "");
	len = (u32)(b.at - out);

	memset(entry, 0, SMBIOS_ENTRY); /* table 1 */
	memcpy(entry, "_SM_", 4);
	entry[5] = SMBIOS_ENTRY;
	entry[6] = 2;
	entry[7] = 8;
	put16(entry + 8, b.largest);
	memcpy(entry + 16, "_DMI_", 5);
	put16(entry + 22, (u16)len);
	put32(entry + 24, address);
	put16(entry + 28, b.count);
	entry[30] = 0x28;
	entry[21] = checksum(entry + 16, 15);
	entry[4] = checksum(entry, SMBIOS_ENTRY);
	return len;
}
