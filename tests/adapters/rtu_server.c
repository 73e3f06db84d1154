/* An independent Modbus RTU unit (libmodbus): unit 1, 19200 8N1. Prints "up" when it listens.
   Holding register n holds n, input register n holds 2 n, every third coil and every second input is on. */
#include <modbus.h>
#include <stdio.h>

int main(int count, char **words) {
  modbus_t *line = modbus_new_rtu(words[1], 19200, 'N', 8, 1);
  modbus_mapping_t *map = modbus_mapping_new(200, 200, 1000, 1000);
  for (int i = 0; i < 1000; i++) {
    map->tab_registers[i] = i;
    map->tab_input_registers[i] = 2 * i;
  }
  for (int i = 0; i < 200; i++) {
    map->tab_bits[i] = i % 3 == 0;
    map->tab_input_bits[i] = i % 2;
  }
  modbus_set_slave(line, 1);
  if (modbus_connect(line)) {
    perror("connect");
    return 1;
  }
  puts("up");
  fflush(stdout);
  unsigned char question[MODBUS_RTU_MAX_ADU_LENGTH];
  for (;;) {
    int size = modbus_receive(line, question);
    if (size > 0) modbus_reply(line, question, size, map);
  }
}
