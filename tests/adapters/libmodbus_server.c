/* An independent Modbus server (libmodbus): unit 1 on a serial port, 19200 8N1, or at a TCP port of this machine.
   Prints "up" when it listens. Holding register n holds n, input register n holds 2 n, every third coil and every
   second input is on. */
#include <modbus.h>
#include <stdio.h>
#include <stdlib.h>

static modbus_mapping_t *map;

/* Answers until the other side is gone. */
static void serve(modbus_t *line) {
  unsigned char question[MODBUS_MAX_ADU_LENGTH];
  for (int size; (size = modbus_receive(line, question)) >= 0;)
    if (size > 0) modbus_reply(line, question, size, map);
}

int main(int count, char **words) {
  int port = count > 1 ? atoi(words[1]) : 0;
  modbus_t *line = port ? modbus_new_tcp("127.0.0.1", port) : modbus_new_rtu(words[1], 19200, 'N', 8, 1);
  map = modbus_mapping_new(200, 200, 1000, 1000);
  for (int i = 0; i < 1000; i++) {
    map->tab_registers[i] = i;
    map->tab_input_registers[i] = 2 * i;
  }
  for (int i = 0; i < 200; i++) {
    map->tab_bits[i] = i % 3 == 0;
    map->tab_input_bits[i] = i % 2;
  }
  modbus_set_slave(line, 1);
  int listening = port ? modbus_tcp_listen(line, 1) : -1;
  if (port ? listening < 0 : modbus_connect(line)) {
    perror("connect");
    return 1;
  }
  puts("up");
  fflush(stdout);
  do {
    if (!port || modbus_tcp_accept(line, &listening) >= 0) serve(line);
  } while (1);
}
