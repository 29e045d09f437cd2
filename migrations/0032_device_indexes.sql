-- Devices can be deleted since 0031: what may refer to one is found by an index.
create index equipment_has_iot_device_device on equipment_has_iot_device (customer_id, iot_device_id);
create index vehicle_basic_information_hdr_device on vehicle_basic_information_hdr (customer_id, iot_device_id)
  where iot_device_id is not null;
