// The fields in Spanish.

import type { Words } from "./words";

export const es: Words = {
  number: "Número de tarjeta",
  expiry: "Fecha de caducidad",
  cvc: "Código de seguridad",
  name: "Nombre en la tarjeta",
  expiryHint: "MM / AA",
  cvcBack: "Los 3 últimos dígitos del reverso de la tarjeta",
  cvcFront: "Los 4 dígitos del anverso de la tarjeta",
  incomplete_number: "El número de la tarjeta está incompleto.",
  incomplete_expiry: "La fecha de caducidad de la tarjeta está incompleta.",
  incomplete_cvc: "El código de seguridad de la tarjeta está incompleto.",
  incomplete_name: "Introduzca el nombre que figura en la tarjeta.",
  invalid_number: "El número de la tarjeta no es válido. Compruébelo.",
  invalid_expiry: "El mes y el año no son válidos.",
  invalid_cvc: "El código de seguridad de la tarjeta no es válido.",
  invalid_name: "Introduzca el nombre tal como está impreso en la tarjeta.",
  expired_card: "La tarjeta ha caducado. Utilice otra.",
  brand_not_accepted: "Aquí no se aceptan tarjetas de este tipo.",
  card_refused: "No se ha aceptado la tarjeta. Compruebe lo que ha escrito.",
  session_expired: "La página ha estado abierta demasiado tiempo. Inténtelo de nuevo.",
  session_used_up: "Se han introducido demasiadas tarjetas. Vuelva a cargar la página.",
  network: "No hay conexión. No se ha cobrado nada; inténtelo de nuevo.",
  rate_limited: "Demasiados intentos. Espere un momento e inténtelo de nuevo.",
  unavailable: "En este momento no se pueden aceptar tarjetas. Inténtelo de nuevo en breve.",
};
